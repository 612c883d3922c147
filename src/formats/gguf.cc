// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "base/error.h"
#include "formats/gguf_cursor.h"

namespace selfalign::formats {
namespace {

// Limits of names, of this program where the format gives none.
constexpr uint64_t kMaxKey = 65535;
constexpr uint64_t kMaxTensorName = 255;
constexpr uint64_t kMaxName = 255;  // of an architecture, a kind of tokenizer
constexpr uint32_t kMaxDimensions = 4;
// The least that one metadata entry and one tensor entry can take: they bound
// the counts of a file before anything is allocated.
constexpr uint64_t kMinEntry = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensor = 8 + 1 + 4 + 8 + 4 + 8;
constexpr int64_t kMaxAlignment = 1 << 20;
// More than any LLaMA has: each costs some memory beyond its bytes.
constexpr uint64_t kMaxEntries = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 16;

struct TensorCode {
  uint32_t code;
  const char* name;
  std::optional<ElementType> type;  // nothing: known, not supported
};
constexpr TensorCode kTensorCodes[] = {
    {0, "F32", ElementType::kF32},
    {1, "F16", ElementType::kF16},
    {2, "Q4_0", ElementType::kQ4_0},
    {3, "Q4_1", ElementType::kQ4_1},
    {8, "Q8_0", ElementType::kQ8_0},
    {30, "BF16", ElementType::kBF16},
    {6, "Q5_0", ElementType::kQ5_0},
    {7, "Q5_1", ElementType::kQ5_1},
    {10, "Q2_K", ElementType::kQ2_K},
    {11, "Q3_K", ElementType::kQ3_K},
    {12, "Q4_K", ElementType::kQ4_K},
    {13, "Q5_K", ElementType::kQ5_K},
    {14, "Q6_K", ElementType::kQ6_K},
    {20, "IQ4_NL", ElementType::kIQ4_NL},
    {23, "IQ4_XS", ElementType::kIQ4_XS},
    {16, "IQ2_XXS", {}},
    {17, "IQ2_XS", {}},
    {18, "IQ3_XXS", {}},
    {19, "IQ1_S", {}},
    {21, "IQ3_S", {}},
    {22, "IQ2_S", {}},
    {28, "F64", {}},
    {29, "IQ1_M", {}},
    {34, "TQ1_0", {}},
    {35, "TQ2_0", {}},
    {39, "MXFP4", {}},
};

int64_t take_integer(GgufCursor& in, uint32_t type, const std::string& what) {
  switch (type) {
    case kUint8:
      return in.take<uint8_t>(what);
    case kInt8:
      return in.take<int8_t>(what);
    case kUint16:
      return in.take<uint16_t>(what);
    case kInt16:
      return in.take<int16_t>(what);
    case kUint32:
      return in.take<uint32_t>(what);
    case kInt32:
      return in.take<int32_t>(what);
    case kInt64:
      return in.take<int64_t>(what);
    default:
      return in.take_uint64(what);
  }
}

double take_real(GgufCursor& in, uint32_t type, const std::string& what) {
  return type == kFloat32 ? double{in.take<float>(what)}
                          : in.take<double>(what);
}

// Bytes of one value of the type, at least; 0 for an unknown type.
uint64_t min_bytes_of(uint32_t type) {
  constexpr uint64_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

// Passes the elements of an array and checks that they are there.
void pass_elements(GgufCursor& in, const GgufArray& array,
                   const std::string& what) {
  const std::string element = "an element of " + what;
  if (array.type == kString) {
    for (uint64_t i = 0; i < array.size; ++i) {
      in.take_string(element, UINT64_MAX);
    }
  } else if (array.type == kBool) {
    for (uint64_t i = 0; i < array.size; ++i) in.take_bool(element);
  } else {
    // No overflow: take_count has seen that they fit into the file.
    in.take_bytes(array.size * min_bytes_of(array.type), element);
  }
}

GgufArray take_array(GgufCursor& in, const std::string& what) {
  const auto type = in.take<uint32_t>(what);
  if (type == kArray) {
    in.fail(what +
            ": expected an array of plain values, found an array of "
            "arrays, which no LLaMA file has");
  }
  if (min_bytes_of(type) == 0) {
    in.fail(str(what, ": expected an element type from 0 to 12, found ", type));
  }
  const uint64_t size =
      in.take_count("elements of " + what, min_bytes_of(type));
  GgufArray array{type, size, in.at(), in.rest()};
  pass_elements(in, array, what);
  array.bytes = array.bytes.substr(0, in.at() - array.begin);
  return array;
}

GgufValue take_value(GgufCursor& in, const std::string& what) {
  const auto type = in.take<uint32_t>(what);
  switch (type) {
    case kString:
      return in.take_string(what, UINT64_MAX);
    case kArray:
      return take_array(in, what);
    case kBool:
      return in.take_bool(what);
    case kFloat32:
    case kFloat64:
      return take_real(in, type, what);
    case kUint64: {
      // Beyond the integers no key here stands: only its size is kept.
      const auto value = in.take<uint64_t>(what);
      if (value > uint64_t{INT64_MAX}) return static_cast<double>(value);
      return static_cast<int64_t>(value);
    }
    default:
      if (min_bytes_of(type) == 0) {
        in.fail(str(what, ": expected a type from 0 to 12, found ", type));
      }
      return take_integer(in, type, what);
  }
}

uint32_t take_version(GgufCursor& in) {
  if (in.take<uint32_t>("the magic number") != 0x46554747) {  // "GGUF"
    in.fail(
        "expected the file to begin with \"GGUF\", found other bytes; "
        "this is not a GGUF file");
  }
  const auto version = in.take<uint32_t>("the version");
  if (version != 0 && (version & 0xffff) == 0) {
    in.fail(
        "expected a little-endian file, found a big-endian one; convert "
        "it with gguf's gguf-convert-endian");
  }
  // Version 3 added files in the other order of bytes, no more.
  if (version != 2 && version != 3) {
    in.fail(str("expected GGUF version 2 or 3, found version ", version,
                "; convert the model with a current llama.cpp"));
  }
  return version;
}

ElementType take_tensor_type(GgufCursor& in, const std::string& what) {
  const auto code = in.take<uint32_t>(what);
  const char* name = "unknown to this program";
  for (const TensorCode& known : kTensorCodes) {
    if (known.code != code) continue;
    if (known.type) return *known.type;
    name = known.name;
  }
  in.fail(str(what,
              ": expected type F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, "
              "Q2_K to Q6_K, IQ4_NL or IQ4_XS, found code ",
              code, " (", name, "); use a file quantised to one of those"));
}

// A tensor's entry; its bytes are not looked at yet.
struct Entry {
  TensorView view;
  uint64_t offset = 0;  // from the beginning of the data
  uint64_t bytes = 0;
};

Entry take_tensor_entry(GgufCursor& in, uint64_t index) {
  Entry entry;
  entry.view.name =
      in.take_string(str("the name of tensor ", index), kMaxTensorName);
  const std::string what = "tensor " + entry.view.name;
  const auto dimensions = in.take<uint32_t>(what);
  if (dimensions < 1 || dimensions > kMaxDimensions) {
    in.fail(str(what, ": expected 1 to 4 dimensions, found ", dimensions));
  }
  for (uint32_t i = 0; i < dimensions; ++i) {
    entry.view.shape.push_back(in.take_uint64(what));
    if (entry.view.shape.back() == 0) in.fail(what + ": a dimension is 0");
  }
  std::reverse(entry.view.shape.begin(), entry.view.shape.end());
  entry.view.type = take_tensor_type(in, what);
  const auto bytes = storage_bytes(entry.view.type, entry.view.shape);
  if (!bytes) {
    in.fail(str(what, ": its shape cannot be stored as ",
                element_type_name(entry.view.type), " (too large, or rows of ",
                entry.view.shape.back(), " that are not whole blocks)"));
  }
  entry.bytes = *bytes;
  entry.offset = in.take<uint64_t>(what);
  return entry;
}

// Gives every entry its bytes in `data`, which begins at byte `begin` of the
// file.
void place_tensors(std::vector<Entry>& entries, std::string_view data,
                   uint64_t begin, uint64_t alignment,
                   const std::string& path) {
  for (Entry& entry : entries) {
    const std::string where = path + ": tensor " + entry.view.name;
    if (entry.offset % alignment != 0) {
      throw Error(
          ErrorKind::kInput,
          str(where, ": expected an offset that is a multiple of ", alignment,
              ", found ", entry.offset, "; the file is damaged"));
    }
    if (entry.offset > data.size() ||
        entry.bytes > data.size() - entry.offset) {
      throw Error(
          ErrorKind::kInput,
          str(where, ": expected ", entry.bytes, " bytes at offset ",
              entry.offset, " of the data, which begin at byte ", begin,
              ", found the end of the file at byte ", begin + data.size(),
              "; the file is cut off, fetch it again"));
    }
    entry.view.bytes = data.substr(entry.offset, entry.bytes);
  }
  std::vector<const Entry*> order;
  order.reserve(entries.size());
  for (const Entry& entry : entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return a->offset < b->offset;
  });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset - order[i - 1]->offset >= order[i - 1]->bytes) {
      continue;
    }
    throw Error(ErrorKind::kInput,
                str(path, ": tensor ", order[i]->view.name,
                    ": expected bytes of its own, found them inside tensor ",
                    order[i - 1]->view.name, "; the file is damaged"));
  }
}

const char* type_name(const GgufValue& value) {
  constexpr const char* kNames[] = {"an integer", "a number", "a truth value",
                                    "a string", "an array"};
  return kNames[value.index()];
}

template <typename T>
const T& get_as(const GgufFile& file, const std::string& key,
                const char* wanted) {
  const GgufValue* value = file.find(key);
  if (value != nullptr) {
    if (const T* typed = std::get_if<T>(value)) return *typed;
  }
  throw Error(ErrorKind::kInput,
              str(file.path(), ": metadata ", key, ": expected ", wanted,
                  ", found ", value == nullptr ? "nothing" : type_name(*value),
                  "; use a complete conversion of the model"));
}

bool is_real(uint32_t type) { return type == kFloat32 || type == kFloat64; }
bool is_string(uint32_t type) { return type == kString; }
bool is_integer(uint32_t type) {
  return !is_real(type) && !is_string(type) && type != kBool && type != kArray;
}

// The elements of the list under `key`, whose type must be right.
template <typename Take>
auto get_list(const GgufFile& file, const std::string& key, uint64_t most,
              const char* wanted, bool (*is_right)(uint32_t), Take take) {
  const auto& array = get_as<GgufArray>(file, key, wanted);
  const auto refuse = [&](const std::string& expected,
                          const std::string& found) {
    throw Error(ErrorKind::kInput,
                str(file.path(), ": metadata ", key, ": expected ", expected,
                    ", found ", found, "; get the file again"));
  };
  if (!is_right(array.type)) refuse(wanted, "an array of another type");
  if (array.size > most) {
    refuse(str("at most ", most, " elements"), std::to_string(array.size));
  }
  GgufCursor in(array.bytes, file.path(), array.begin);
  const std::string what = "an element of " + key;
  std::vector<decltype(take(in, array.type, what))> values;
  values.reserve(array.size);
  for (uint64_t i = 0; i < array.size; ++i) {
    values.push_back(take(in, array.type, what));
  }
  return values;
}

}  // namespace

uint32_t gguf_code(ElementType type) {
  for (const TensorCode& known : kTensorCodes) {
    if (known.type == type) return known.code;
  }
  SELFALIGN_CHECK(false, element_type_name(type));
  return 0;
}

std::shared_ptr<const GgufFile> GgufFile::open(const std::string& path) {
  std::shared_ptr<GgufFile> file(new GgufFile(path));
  file->parse();
  return file;
}

void GgufFile::parse() {
  GgufCursor in(map_.bytes(), path());
  version_ = take_version(in);
  const uint64_t num_tensors =
      in.take_count("tensors", kMinTensor, kMaxTensors);
  const uint64_t num_entries =
      in.take_count("metadata entries", kMinEntry, kMaxEntries);

  std::unordered_set<std::string> seen;
  for (uint64_t i = 0; i < num_entries; ++i) {
    std::string key(in.take_string(str("metadata key ", i), kMaxKey));
    if (!seen.insert(key).second) in.fail("metadata " + key + " stands twice");
    const std::string_view rest = in.rest();
    const GgufValue value = take_value(in, "metadata " + key);
    stored_.push_back(rest.substr(0, rest.size() - in.left()));
    metadata_.emplace_back(std::move(key), value);
  }
  const int64_t alignment = get_int_or("general.alignment", 32);
  if (alignment < 8 || alignment > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    in.fail(
        str("metadata general.alignment: expected a power of two from 8 to ",
            kMaxAlignment, ", found ", alignment));
  }

  seen.clear();
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    entries.push_back(take_tensor_entry(in, i));
    const std::string& name = entries.back().view.name;
    if (!seen.insert(name).second) in.fail("tensor " + name + " stands twice");
  }
  const auto step = static_cast<uint64_t>(alignment);
  const uint64_t begin = (in.at() + step - 1) / step * step;
  const std::string_view data =
      map_.bytes().substr(std::min<uint64_t>(begin, map_.size()));
  place_tensors(entries, data, begin, step, path());
  for (Entry& entry : entries) tensors_.push_back(std::move(entry.view));
}

const GgufValue* GgufFile::find(const std::string& key) const {
  for (const auto& [name, value] : metadata_) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string GgufFile::get_string(const std::string& key) const {
  const auto text = get_as<std::string_view>(*this, key, "a string");
  if (text.size() <= kMaxName) return std::string(text);
  throw Error(ErrorKind::kInput,
              str(path(), ": metadata ", key, ": expected at most ", kMaxName,
                  " bytes, found ", text.size(), "; get the file again"));
}

int64_t GgufFile::get_int(const std::string& key) const {
  return get_as<int64_t>(*this, key, "an integer");
}

double GgufFile::get_float(const std::string& key) const {
  const GgufValue* value = find(key);
  if (value != nullptr) {
    if (const auto* integer = std::get_if<int64_t>(value)) {
      return static_cast<double>(*integer);
    }
  }
  return get_as<double>(*this, key, "a number");
}

bool GgufFile::get_bool_or(const std::string& key, bool fallback) const {
  return find(key) == nullptr ? fallback
                              : get_as<bool>(*this, key, "a truth value");
}

int64_t GgufFile::get_int_or(const std::string& key, int64_t fallback) const {
  return find(key) == nullptr ? fallback : get_int(key);
}

std::string GgufFile::get_string_or(const std::string& key,
                                    const std::string& fallback) const {
  return find(key) == nullptr ? fallback : get_string(key);
}

std::vector<std::string_view> GgufFile::get_strings(const std::string& key,
                                                    uint64_t most) const {
  return get_list(*this, key, most, "an array of strings", is_string,
                  [](GgufCursor& in, uint32_t, const std::string& what) {
                    return in.take_string(what, UINT64_MAX);
                  });
}

std::vector<int64_t> GgufFile::get_ints(const std::string& key,
                                        uint64_t most) const {
  return get_list(*this, key, most, "an array of integers", is_integer,
                  take_integer);
}

std::vector<bool> GgufFile::get_bools(const std::string& key,
                                      uint64_t most) const {
  return get_list(
      *this, key, most, "an array of truth values",
      [](uint32_t type) { return type == kBool; },
      [](GgufCursor& in, uint32_t /*type*/, const std::string& what) {
        return in.take<uint8_t>(what) != 0;
      });
}

std::vector<double> GgufFile::get_floats(const std::string& key,
                                         uint64_t most) const {
  return get_list(*this, key, most, "an array of floats", is_real, take_real);
}

uint64_t GgufFile::size_of(const std::string& key) const {
  const GgufValue* value = find(key);
  const auto* array = value ? std::get_if<GgufArray>(value) : nullptr;
  return array ? array->size : 0;
}

}  // namespace selfalign::formats
