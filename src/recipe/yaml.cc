// SPDX-License-Identifier: Apache-2.0
#include "recipe/yaml.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/joined.h"
#include "base/number.h"
#include "base/shown.h"
#include "recipe/yaml_merge.h"
#include "text/plain_text.h"
#include "text/words.h"

namespace selfalign::recipe {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{16} << 20;

// YAML's numbers may have a plus sign.
template <typename Number>
std::optional<Number> number_in(std::string_view text, Number low,
                                Number high) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  return parse_number<Number>(text, low, high);
}

constexpr int64_t kMaxNodes = 100'000;
constexpr int64_t kMaxText = int64_t{2 * kMaxBytes};
constexpr int64_t kMaxKey = 256;  // bytes
constexpr int kMaxDepth = 100;

// What a text would take in memory and time before it is built: hears of a
// parser where a document begins and what is in it. An alias counts as all that
// it stands for, since whoever goes through the document goes through that
// again, and each value with the keys that it stands under, since its field is
// named by all of them. Throws YAML::ParserException at the first node that is
// too much.
class Measure : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { mark_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_leaf(mark, anchor, 0);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = sizes_.find(anchor);
    if (known == sizes_.end()) {
      throw YAML::ParserException(
          mark, "an alias of what it stands in; write it out");
    }
    add(mark, known->second);
  }
  void OnScalar(const YAML::Mark& mark, const std::string&,
                YAML::anchor_t anchor, const std::string& text) override {
    add_leaf(mark, anchor, int64_t(text.size()));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, anchor, false);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    begin(mark, anchor, true);
  }
  void OnMapEnd() override { end(); }

  const YAML::Mark& mark() const { return mark_; }

 private:
  // Of a node with all that is in it.
  struct Size {
    int64_t num_nodes = 0;
    int64_t text = 0;  // bytes, the keys around each value within the node too
    int depth = 0;
  };
  struct Open {
    YAML::Mark mark;
    YAML::anchor_t anchor;
    bool is_map;
    Size size;
    bool has_key = false;  // the next node is the value of a key
    int64_t key = 0;       // its bytes
  };

  [[noreturn]] static void refuse(const YAML::Mark& mark,
                                  const std::string& found) {
    throw YAML::ParserException(mark, found + "; is this the right file?");
  }

  // Adds a whole node to the one around it.
  void add(const YAML::Mark& mark, const Size& size) {
    if (open_.empty()) return;
    Open& around = open_.back();
    const bool is_key = around.is_map && !around.has_key;
    if (is_key && size.text > kMaxKey) {
      refuse(mark, str("a key of more than ", kMaxKey, " bytes"));
    }
    around.size.num_nodes += size.num_nodes;
    around.size.text +=
        size.text + (around.has_key ? size.num_nodes * around.key : 0);
    around.size.depth = std::max(around.size.depth, size.depth + 1);
    if (is_key) around.key = size.text;
    around.has_key = is_key;
    check(mark);
  }
  // What is open is not yet added to what is around it.
  void check(const YAML::Mark& mark) const {
    Size all;
    for (auto open = open_.rbegin(); open != open_.rend(); ++open) {
      all.text +=
          open->size.text + (open->has_key ? all.num_nodes * open->key : 0);
      all.num_nodes += open->size.num_nodes;
      all.depth = std::max(all.depth + 1, open->size.depth);
    }
    if (all.num_nodes > kMaxNodes) {
      refuse(mark, str("more than ", kMaxNodes,
                       " values, those of aliases counted each time"));
    }
    if (all.text > kMaxText) {
      refuse(mark, str("more than ", kMaxText,
                       " bytes of text, that of aliases counted each time and "
                       "each value with the keys around it"));
    }
    if (all.depth > kMaxDepth) {
      refuse(mark, str("more than ", kMaxDepth, " levels of nesting"));
    }
  }
  void add_leaf(const YAML::Mark& mark, YAML::anchor_t anchor, int64_t text) {
    const Size size{1, text, 0};
    if (anchor != YAML::NullAnchor) sizes_[anchor] = size;
    add(mark, size);
  }
  void begin(const YAML::Mark& mark, YAML::anchor_t anchor, bool is_map) {
    open_.push_back({mark, anchor, is_map, {1, 0, 0}});
    check(mark);
  }
  void end() {
    const Open done = open_.back();
    open_.pop_back();
    if (done.anchor != YAML::NullAnchor) sizes_[done.anchor] = done.size;
    add(done.mark, done.size);
  }

  YAML::Mark mark_;
  std::map<YAML::anchor_t, Size> sizes_;
  std::vector<Open> open_;
};

// Where a second document of the text begins, which YAML::Load leaves out.
// Throws where the text has more values than any file needs.
std::optional<YAML::Mark> second_document(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  Measure documents;
  if (!parser.HandleNextDocument(documents)) return std::nullopt;
  if (!parser.HandleNextDocument(documents)) return std::nullopt;
  return documents.mark();
}

}  // namespace

std::optional<YAML::Mark> place_of(const YAML::Node& file,
                                   const std::string& field) {
  YAML::Node node = file;
  for (size_t begin = 0; begin <= field.size();) {
    const size_t end = std::min(field.find('.', begin), field.size());
    const std::string key = field.substr(begin, end - begin);
    if (!node.IsMap()) return std::nullopt;
    const YAML::Node map = node;
    const auto found =
        std::find_if(map.begin(), map.end(), [&key](const auto& entry) {
          return entry.first.IsScalar() && entry.first.Scalar() == key;
        });
    if (found == map.end()) return std::nullopt;
    node.reset(found->second);
    begin = end + 1;
  }
  return node.Mark();
}

YAML::Mark nearest_place(const YAML::Node& file, std::string field) {
  while (true) {
    if (const auto mark = place_of(file, field)) return *mark;
    const size_t dot = field.rfind('.');
    if (dot == std::string::npos) return file.Mark();
    field.resize(dot);
  }
}

YAML::Node load_yaml(const std::string& path, bool may_be_pipe) {
  return parse_yaml(
      may_be_pipe ? read_input(path, kMaxBytes) : read_file(path, kMaxBytes),
      path);
}

YAML::Node parse_yaml(const std::string& text, const std::string& where) {
  YamlMistakes mistakes(where);
  if (const auto flaw = text::find_flaw(text)) {
    YAML::Mark mark;
    mark.line = int(flaw->line) - 1;
    mark.column = int(flaw->column) - 1;
    mistakes.add(mark, flaw->text);
    mistakes.throw_if_any();
  }
  try {
    if (const auto second = second_document(text)) {
      mistakes.add(*second,
                   "expected one YAML document in the file, found a second "
                   "one; make one of them, or remove it");
      mistakes.throw_if_any();
    }
    const YAML::Node node = YAML::Load(text);
    if (text.find("<<") != std::string::npos) {
      resolve_merges(node, mistakes);
      mistakes.throw_if_any();
    }
    return node;
  } catch (const YAML::Exception& error) {
    mistakes.add(error.mark, "this is no sound YAML: " + shown(error.msg, 200));
    mistakes.throw_if_any();
    throw;
  }
}

YamlMap::YamlMap(const YAML::Node& node, std::string name,
                 YamlMistakes& mistakes)
    : node_(node), name_(std::move(name)), mistakes_(mistakes) {
  if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) {
    mistakes_.add(node_.Mark(),
                  str(name_.empty() ? "file" : name_,
                      ": expected keys and values, found something else"));
    node_ = YAML::Node(YAML::NodeType::Undefined);
  }
}

std::string YamlMap::named(const std::string& key) const {
  return name_.empty() ? key : name_ + "." + key;
}

// Never node_[key]: on a missing key that would add to the node.
YAML::Node YamlMap::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
    known_.push_back(key);
  }
  if (node_.IsDefined() && node_.IsMap()) {
    for (const auto& entry : node_) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) {
        return entry.second;
      }
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlMap::has(const std::string& key) { return find(key).IsDefined(); }

YamlMap& YamlMap::require(const std::string& key) {
  if (!has(key) && node_.IsDefined()) {
    mistakes_.add(node_.Mark(), str(named(key),
                                    ": expected this key, found "
                                    "none; add it"));
  }
  return *this;
}

void YamlMap::mistake(const std::string& key, const std::string& text) {
  const YAML::Node value = find(key);
  mistakes_.add(value.IsDefined() ? value.Mark() : node_.Mark(),
                str(named(key), ": ", text));
}

bool YamlMap::scalar(const std::string& key, std::string& text) {
  const YAML::Node value = find(key);
  if (!value.IsDefined()) return false;
  if (!value.IsScalar()) {
    mistake(key, "expected one value, found a list, keys or nothing");
    return false;
  }
  text = value.Scalar();
  return true;
}

void YamlMap::get(const std::string& key, std::string& out) {
  scalar(key, out);
}

void YamlMap::get(const std::string& key, bool& out) {
  std::string text;
  if (!scalar(key, text)) return;
  if (text != "true" && text != "false") {
    mistake(key, str("expected true or false, found \"", shown(text), "\""));
    return;
  }
  out = text == "true";
}

template <typename Number>
void YamlMap::number(const std::string& key, Number& out, Number low,
                     Number high, const std::string& range) {
  std::string text;
  if (!scalar(key, text)) return;
  const auto found = number_in(text, low, high);
  if (!found) {
    mistake(key, str("expected ", range, ", found \"", shown(text), "\""));
    return;
  }
  out = *found;
}

void YamlMap::get(const std::string& key, int& out, int low, int high) {
  int64_t number = out;
  get(key, number, int64_t{low}, int64_t{high});
  out = static_cast<int>(number);
}

void YamlMap::get(const std::string& key, int64_t& out, int64_t low,
                  int64_t high) {
  number(key, out, low, high, str("a whole number from ", low, " to ", high));
}

void YamlMap::get(const std::string& key, uint64_t& out) {
  number<uint64_t>(key, out, 0, UINT64_MAX,
                   "a whole number from 0 to 2^64 - 1");
}

void YamlMap::get(const std::string& key, double& out, double low,
                  double high) {
  number(key, out, low, high, str("a number from ", low, " to ", high));
}

void YamlMap::get(const std::string& key, std::vector<std::string>& out) {
  if (!has(key)) return;
  out.clear();
  for (const YAML::Node& item : items(key)) {
    if (!item.IsScalar()) {
      mistakes_.add(item.Mark(), str(named(key), ": expected text"));
      continue;
    }
    out.push_back(item.Scalar());
  }
}

void YamlMap::get(const std::string& key, std::vector<double>& out, double low,
                  double high) {
  if (!has(key)) return;
  out.clear();
  for (const YAML::Node& item : items(key)) {
    const auto number =
        item.IsScalar() ? number_in(item.Scalar(), low, high) : std::nullopt;
    if (!number) {
      mistakes_.add(item.Mark(), str(named(key), ": expected a number from ",
                                     low, " to ", high));
      continue;
    }
    out.push_back(*number);
  }
}

void YamlMap::get(const std::string& key, std::string& out,
                  const std::vector<std::string>& choices) {
  std::string text;
  if (!scalar(key, text)) return;
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    mistake(key, str("expected one of ", joined(choices), ", found \"",
                     shown(text), "\""));
    return;
  }
  out = text;
}

YamlMap YamlMap::map(const std::string& key) {
  const YAML::Node value = find(key);
  return YamlMap(value, named(key), mistakes_);
}

std::vector<YAML::Node> YamlMap::items(const std::string& key) {
  const YAML::Node value = find(key);
  std::vector<YAML::Node> items;
  if (!value.IsDefined()) return items;
  if (!value.IsSequence()) {
    mistake(key, "expected a list, found something else");
    return items;
  }
  for (const auto& item : value) items.push_back(item);
  return items;
}

void YamlMap::done() {
  if (!node_.IsDefined() || !node_.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key =
        entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      mistakes_.add(entry.first.Mark(), str(named(shown(key)), ": unknown key",
                                            text::did_you_mean(key, known_)));
    } else if (seen.contains(key)) {
      mistakes_.add(entry.first.Mark(),
                    str(named(key), ": expected once, found again"));
    }
    seen.insert(key);
  }
}

}  // namespace selfalign::recipe
