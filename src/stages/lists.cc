#include "stages/lists.h"

#include <algorithm>
#include <cctype>

#include "stages/thoughts.h"

namespace selfalign::stages {
namespace {

// Position of the line start of "N." followed by `tag`, npos if none.
size_t find_item(const std::string& text, size_t from, int number,
                 const std::string& tag) {
  const std::string mark = "\n" + std::to_string(number) + "." + tag;
  return text.find(mark, from);
}

bool is_line_with_number(const std::string& text, size_t at) {
  size_t digits = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    ++at;
    ++digits;
  }
  return digits > 0 && digits <= 3 && text.compare(at, 6, ". Task") == 0;
}

// The end of an item: the first later line that starts any item, whatever its
// number.
size_t item_end(const std::string& text, size_t from) {
  for (size_t at = text.find('\n', from); at != std::string::npos;
       at = text.find('\n', at + 1)) {
    if (is_line_with_number(text, at + 1)) return at;
  }
  return text.size();
}

bool means_none(const std::string& input, const std::string& no_input) {
  std::string plain;
  for (const char c : input) {
    plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  while (!plain.empty() && plain.back() == '.') plain.pop_back();
  std::string none;
  for (const char c : no_input) {
    none += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain.empty() || plain == none || plain == "n/a" || plain == "-";
}

ListedTask parse_task(const std::string& item, bool cut_off,
                      const std::string& no_input) {
  ListedTask task;
  const std::string tag = "Input:";
  const size_t at = item.find("\n" + tag);
  task.task = trim(item.substr(0, at));
  if (at == std::string::npos) {
    task.malformed = cut_off ? "cut_off" : "no_input_line";
    return task;
  }
  task.input = trim(item.substr(at + 1 + tag.size()));
  if (means_none(task.input, no_input)) task.input.clear();
  if (cut_off) task.malformed = "cut_off";
  return task;
}

}  // namespace

std::vector<ListedTask> parse_tasks(const std::string& text, int first,
                                    bool cut_off, const std::string& no_input) {
  std::vector<ListedTask> tasks;
  size_t begin = 0;
  for (int number = first;; ++number) {
    const size_t end = item_end(text, begin);
    const bool last = end == text.size();
    tasks.push_back(
        parse_task(text.substr(begin, end - begin), last && cut_off, no_input));
    const std::string tag = " Task:";
    if (last || find_item(text, end, number + 1, tag) != end) return tasks;
    begin = end + 1 + std::to_string(number + 1).size() + 1 + tag.size();
  }
}

std::string join_instruction(const std::string& task,
                             const std::string& input) {
  return input.empty() ? task : task + "\n\n" + input;
}

std::vector<std::string> parse_list(const std::string& text, int first,
                                    bool cut_off) {
  std::vector<std::string> items;
  size_t begin = 0;
  for (int number = first;; ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string item = trim(text.substr(begin, end - begin));
    if (!item.empty() && item.back() == '.') item.pop_back();
    const bool last = end == text.size();
    if (!(last && cut_off)) items.push_back(std::move(item));
    if (last || find_item(text, end, number + 1, "") != end) return items;
    begin = end + 1 + std::to_string(number + 1).size() + 1;
  }
}

}  // namespace selfalign::stages
