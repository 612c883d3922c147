#include "eval/item_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::eval {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw Error(ErrorKind::kResources,
              str(path, ": expected to write, found: ", std::strerror(errno),
                  "; make room or give a folder that can be written"));
}

}  // namespace

ItemLog::ItemLog(std::string path) : path_(std::move(path)) {
  std::string text;
  if (std::filesystem::exists(path_)) text = read_file(path_);
  const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  size_t number = 0;
  for (size_t at = 0; at < whole;) {
    const size_t end = text.find('\n', at);
    const std::string where = str(path_, ":", ++number);
    try {
      const Json line = parse_json(text.substr(at, end - at), where);
      const std::string key = json_string(line, "key", where);
      items_[std::stoull(key, nullptr, 16)] = line.at("item");
    } catch (const std::exception& error) {
      throw Error(ErrorKind::kDamaged,
                  str(where, ": expected an item with its key, found: ",
                      error.what(), "; remove that line and go on"));
    }
    at = end + 1;
  }
  make_folder(std::filesystem::path(path_).parent_path().string());
  file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0 || ftruncate(file_, off_t(whole)) != 0 ||
      lseek(file_, 0, SEEK_END) < 0) {
    fail(path_);
  }
}

ItemLog::~ItemLog() {
  if (file_ >= 0) close(file_);
}

const Json* ItemLog::find(uint64_t key) const {
  const auto found = items_.find(key);
  return found == items_.end() ? nullptr : &found->second;
}

void ItemLog::add(uint64_t key, const Json& item) {
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx",
                static_cast<unsigned long long>(key));
  const std::string line = dump_json(Json{{"key", hex}, {"item", item}}) + "\n";
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = write(file_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_);
    done += size_t(n);
  }
  items_[key] = item;
}

void ItemLog::sync() {
  if (fsync(file_) != 0) fail(path_);
}

}  // namespace selfalign::eval
