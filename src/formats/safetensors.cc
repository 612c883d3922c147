// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/json_file.h"
#include "base/own_file.h"
#include "base/shown.h"

namespace selfalign::formats {
namespace {

// The format's own limit on the header; also ours on an index.
constexpr uint64_t kMaxHeader = 100'000'000;
// Of a header or an index: eight a tensor, of the largest models' many shards.
constexpr size_t kMaxValues = size_t{1} << 20;
constexpr size_t kMaxDimensions = 8;
constexpr size_t kMaxName = 200;  // bytes that a message shows
constexpr const char* kMetadata = "__metadata__";

// A header of a hostile file may have a million members: looked up sorted.
using SortedJson = nlohmann::json;

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

constexpr ElementType kTypes[] = {ElementType::kF32,  ElementType::kF16,
                                  ElementType::kBF16, ElementType::kF64,
                                  ElementType::kI64,  ElementType::kI32,
                                  ElementType::kU8,   ElementType::kBool};

ElementType parse_type(const SortedJson& entry, const std::string& where) {
  const auto it = entry.find("dtype");
  if (it == entry.end() || !it->is_string()) {
    fail(where, "dtype: expected a string, found none; the file is damaged");
  }
  const auto& name = it->get_ref<const std::string&>();
  for (ElementType type : kTypes) {
    if (name == element_type_name(type)) return type;
  }
  fail(where,
       "dtype: expected F32, F16, BF16, F64, I64, I32, U8 or BOOL, found " +
           shown(name) + "; convert the file to one of those");
}

// An array of at most max_count whole numbers from 0 to 2^63 - 1.
std::vector<int64_t> parse_numbers(const SortedJson& entry, const char* name,
                                   size_t max_count, const std::string& where) {
  const auto it = entry.find(name);
  std::vector<int64_t> numbers;
  if (it != entry.end() && it->is_array() && it->size() <= max_count) {
    for (const SortedJson& number : *it) {
      if (!number.is_number_unsigned() ||
          number.get<uint64_t>() > uint64_t{INT64_MAX}) {
        break;
      }
      numbers.push_back(number.get<int64_t>());
    }
    if (numbers.size() == it->size()) return numbers;
  }
  fail(where, str(name, ": expected an array of at most ", max_count,
                  " whole numbers, found something else; the file is "
                  "damaged"));
}

// One tensor of the header; its offsets are within `data`.
TensorView parse_tensor(const std::string& name, const SortedJson& entry,
                        std::string_view data, const std::string& where) {
  if (!entry.is_object()) fail(where, "expected an object in the header");
  TensorView view;
  view.name = name;
  view.type = parse_type(entry, where);
  view.shape = parse_numbers(entry, "shape", kMaxDimensions, where);
  const auto range = parse_numbers(entry, "data_offsets", 2, where);
  if (range.size() != 2 || range[0] > range[1]) {
    fail(where, "data_offsets: expected a beginning and an end behind it");
  }
  const auto begin = static_cast<uint64_t>(range[0]);
  const auto end = static_cast<uint64_t>(range[1]);
  if (end > data.size()) {
    fail(where, str("expected its bytes up to ", end, " of the data, found ",
                    data.size(),
                    " bytes of data in the file; the file is cut "
                    "off, fetch it again"));
  }
  const auto bytes = storage_bytes(view.type, view.shape);
  if (!bytes || *bytes != end - begin) {
    fail(where, str("expected ", end - begin,
                    " bytes as its offsets say, "
                    "found a shape and dtype of ",
                    bytes ? str(*bytes, " bytes") : "no possible size",
                    "; the file is damaged"));
  }
  view.bytes = data.substr(begin, end - begin);
  return view;
}

// The format: the tensors cover the data exactly, without holes or overlaps.
void check_cover(const std::vector<TensorView>& tensors, std::string_view data,
                 const std::string& path) {
  const char* expected = data.data();
  for (const TensorView& tensor : tensors) {
    if (tensor.bytes.data() != expected) {
      fail(path,
           str("tensor ", shown(tensor.name, kMaxName),
               ": expected its bytes at offset ", expected - data.data(),
               " of the data, right behind the "
               "tensor before, found them at ",
               tensor.bytes.data() - data.data(), "; the file is damaged"));
    }
    expected += tensor.bytes.size();
  }
  if (expected != data.data() + data.size()) {
    fail(path, str("expected ", expected - data.data(),
                   " bytes of data as the "
                   "header says, found ",
                   data.size(),
                   "; the file is "
                   "damaged"));
  }
}

// Tensors of one file, in the order of their bytes.
std::vector<TensorView> parse_file(const MappedFile& map) {
  const std::string& path = map.path();
  const std::string_view bytes = map.bytes();
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) {
    fail(path, str("expected 8 bytes of header length, found ", bytes.size(),
                   " bytes; the file is cut off, fetch it again"));
  }
  std::memcpy(&length, bytes.data(), sizeof(length));
  const uint64_t left = bytes.size() - sizeof(length);
  if (length > kMaxHeader || length > left) {
    fail(path, str("expected a header of at most ", std::min(kMaxHeader, left),
                   " bytes, found a length of ", length,
                   "; this is not a safetensors file, or it is cut off"));
  }
  const std::string_view data = bytes.substr(sizeof(length) + length);
  const SortedJson header = parse_json_sorted(
      bytes.substr(sizeof(length), length), path + ": header", kMaxValues);
  if (!header.is_object()) fail(path, "header: expected a JSON object");
  std::vector<TensorView> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) continue;
    tensors.push_back(parse_tensor(
        name, entry, data, str(path, ": tensor ", shown(name, kMaxName))));
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorView& a, const TensorView& b) {
              return std::pair(a.bytes.data(), a.bytes.size()) <
                     std::pair(b.bytes.data(), b.bytes.size());
            });
  check_cover(tensors, data, path);
  return tensors;
}

class MappedTensors : public TensorSource {
 public:
  const std::vector<TensorView>& tensors() const override { return tensors_; }
  void require_unchanged() const override {
    for (const auto& map : maps_) map->require_unchanged();
  }

  void add_file(const std::string& path) {
    maps_.push_back(std::make_unique<MappedFile>(path));
    tensors_ = parse_file(*maps_.back());
  }

  // All tensors of a shard; which shard has which, `shard_of` says. What the
  // index does not name is kept: readers of shards see it, and so must we.
  void add_shard(const std::string& path, const std::string& shard,
                 const std::map<std::string, std::string>& shard_of) {
    maps_.push_back(std::make_unique<MappedFile>(path));
    for (TensorView& tensor : parse_file(*maps_.back())) {
      const auto named = shard_of.find(tensor.name);
      if (named != shard_of.end() && named->second != shard) {
        fail(path, str("tensor ", shown(tensor.name, kMaxName),
                       ": expected it in ", shown(named->second, kMaxName),
                       " alone, as the index says, found it here, too; fetch "
                       "the shards and the index of one version"));
      }
      if (!names_.insert(tensor.name).second) {
        fail(path, str("tensor ", shown(tensor.name, kMaxName),
                       ": expected it in one shard, found it in two; fetch "
                       "the shards of one version"));
      }
      tensors_.push_back(std::move(tensor));
    }
    for (const auto& [name, its_shard] : shard_of) {
      if (its_shard != shard || names_.contains(name)) continue;
      fail(path, "tensor " + shown(name, kMaxName) +
                     " of the index is not there; fetch the shards and the "
                     "index of one version");
    }
  }

 private:
  std::vector<std::unique_ptr<MappedFile>> maps_;
  std::vector<TensorView> tensors_;
  std::set<std::string> names_;  // of the tensors of all shards so far
};

bool is_plain_shard_name(const std::string& name) {
  return name.size() > 12 && name.ends_with(".safetensors") &&
         name.front() != '.' &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

std::unique_ptr<TensorSource> open_sharded(const std::string& folder,
                                           const std::string& index_path) {
  const SortedJson index = parse_json_sorted(read_file(index_path, kMaxHeader),
                                             index_path, kMaxValues);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    fail(index_path,
         "weight_map: expected an object from tensor to file "
         "name, found none");
  }
  std::map<std::string, std::string> shard_of;
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (!shard.is_string() ||
        !is_plain_shard_name(shard.get_ref<const std::string&>())) {
      fail(index_path,
           "tensor " + shown(name, kMaxName) +
               ": expected a file name in the same "
               "folder ending in .safetensors, found " +
               shard.dump(-1, ' ', true, SortedJson::error_handler_t::replace)
                   .substr(0, 100));
    }
    shard_of[name] = shard.get<std::string>();
    shards.insert(shard_of[name]);
  }
  auto tensors = std::make_unique<MappedTensors>();
  for (const std::string& shard : shards) {
    tensors->add_shard(str(folder, "/", shard), shard, shard_of);
  }
  return tensors;
}

// The beginning of a file.
class Header {
 public:
  explicit Header(const std::map<std::string, std::string>& metadata) {
    if (!metadata.empty()) json_[kMetadata] = metadata;
  }

  void add(const std::string& name, ElementType type,
           const std::vector<int64_t>& shape, uint64_t bytes) {
    SELFALIGN_CHECK(names_.insert(name).second, name);
    SELFALIGN_CHECK(std::count(std::begin(kTypes), std::end(kTypes), type) == 1,
                    name, " has type ", element_type_name(type));
    json_[name] = {{"dtype", element_type_name(type)},
                   {"shape", shape},
                   {"data_offsets", {offset_, offset_ + bytes}}};
    offset_ += bytes;
  }

  // Spaces behind the header keep the data at a multiple of 8.
  std::string bytes() const {
    std::string text = dump_json(json_);
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const uint64_t length = text.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) +
           text;
  }

 private:
  Json json_ = Json::object();
  std::set<std::string> names_ = {kMetadata};
  uint64_t offset_ = 0;
};

// "model-00001-of-00002.safetensors"
std::string shard_name(size_t number, size_t count) {
  const auto digits = [](size_t value) {
    const std::string text = std::to_string(value);
    return std::string(5 - std::min<size_t>(5, text.size()), '0') + text;
  };
  return str("model-", digits(number), "-of-", digits(count), ".safetensors");
}

}  // namespace

uint64_t PlannedTensor::num_bytes() const {
  const auto bytes = storage_bytes(type, shape);
  SELFALIGN_CHECK(bytes.has_value(), name);
  return *bytes;
}

std::string PlannedTensor::bytes() const {
  stop_if_interrupted("nothing was made; give the same command again");
  std::string made = make();
  SELFALIGN_CHECK(made.size() == num_bytes(), name, " has ", made.size());
  return made;
}

std::unique_ptr<TensorSource> open_safetensors(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::string file = path;
  if (fs::is_directory(path, ignored)) {
    file = path + "/model.safetensors";
    const std::string index = file + ".index.json";
    if (!fs::exists(file, ignored)) {
      if (fs::exists(index, ignored)) return open_sharded(path, index);
      fail(path,
           "this folder has neither model.safetensors nor "
           "model.safetensors.index.json; other weight formats (.bin, "
           ".pth) must be converted first");
    }
  }
  auto tensors = std::make_unique<MappedTensors>();
  tensors->add_file(file);
  return tensors;
}

void write_safetensors(const std::string& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Header header(metadata);
  for (const TensorView& tensor : tensors) {
    SELFALIGN_CHECK(
        storage_bytes(tensor.type, tensor.shape) == tensor.bytes.size(),
        tensor.name, " has ", tensor.bytes.size(), " bytes");
    header.add(tensor.name, tensor.type, tensor.shape, tensor.bytes.size());
  }
  const std::string head = header.bytes();
  std::vector<std::string_view> parts = {head};
  for (const TensorView& tensor : tensors) parts.push_back(tensor.bytes);
  write_file_atomic(path, parts);
}

std::vector<std::string> write_model_tensors(
    const std::string& folder, const std::vector<PlannedTensor>& tensors,
    uint64_t max_shard) {
  // Where each shard ends.
  std::vector<size_t> ends;
  uint64_t size = 0, total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const uint64_t bytes = tensors[i].num_bytes();
    if (size > 0 && bytes > max_shard - std::min(size, max_shard)) {
      ends.push_back(i);
      size = 0;
    }
    size += bytes;
    total += bytes;
  }
  ends.push_back(tensors.size());
  Json map = Json::object();
  std::vector<std::string> names;
  for (size_t shard = 0, i = 0; shard < ends.size(); ++shard) {
    names.push_back(ends.size() == 1 ? "model.safetensors"
                                     : shard_name(shard + 1, ends.size()));
    const std::map<std::string, std::string> metadata = {{"format", "pt"}};
    Header header(metadata);
    for (size_t j = i; j < ends[shard]; ++j) {
      const PlannedTensor& tensor = tensors[j];
      header.add(tensor.name, tensor.type, tensor.shape, tensor.num_bytes());
      map[tensor.name] = names.back();
    }
    OwnFile file(str(folder, "/", names.back()), 0);
    file.append(header.bytes());
    for (; i < ends[shard]; ++i) file.append(tensors[i].bytes());
    file.sync();
  }
  if (names.size() > 1) {
    names.emplace_back("model.safetensors.index.json");
    write_json_file(
        str(folder, "/", names.back()),
        {{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}},
        2);
  }
  return names;
}

}  // namespace selfalign::formats
