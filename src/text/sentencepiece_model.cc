// SPDX-License-Identifier: Apache-2.0
// The .model file: a protobuf message (wire format of protobuf's encoding
// guide: keys are varints of field number and wire type).
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "text/sentencepiece.h"
#include "text/token_files.h"
#include "text/tokenizer_json.h"

namespace selfalign::text {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& expected,
                       const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected ", expected, ", found ", found,
                  "; use a SentencePiece model of type BPE or unigram"));
}

// Reads the fields of one message in turn.
class Message {
 public:
  struct Field {
    uint32_t number = 0;
    uint64_t value = 0;      // varint and fixed types
    std::string_view bytes;  // length-delimited type
    bool is_bytes = false;
  };

  Message(std::string_view bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  // False at the end of the message.
  bool next(Field& field) {
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    field = Field();
    field.number = static_cast<uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        field.is_bytes = true;
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        fail(where_, "a protobuf field", str("wire type ", key & 7));
    }
    return true;
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail(where_, "a varint", "more than ten bytes");
  }
  uint64_t fixed(size_t length) {
    const std::string_view bytes = take(length);
    uint64_t value = 0;
    for (size_t i = 0; i < length; ++i) {
      value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
    return value;
  }
  std::string_view take(uint64_t length) {
    if (length > bytes_.size()) {
      fail(where_, str(length, " more bytes"), str(bytes_.size()));
    }
    const std::string_view taken = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return taken;
  }

  std::string_view bytes_;
  const std::string& where_;
};

float float_of(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float value;
  std::memcpy(&value, &low, sizeof(value));
  return value;
}

void read_piece(std::string_view bytes, SentencePieceVocabulary& out) {
  Message message(bytes, out.where);
  std::string piece;
  float score = 0.0f;
  uint64_t type = 1;
  for (Message::Field field; message.next(field);) {
    if (field.number == 1) piece = field.bytes;
    if (field.number == 2) score = float_of(field.value);
    if (field.number == 3) type = field.value;
  }
  if (type < 1 || type > 6) {
    fail(out.where, "a piece type from 1 to 6", str(type));
  }
  if (out.pieces.size() == kMaxTokens) {
    fail(out.where, str("at most ", kMaxTokens, " pieces"), "more");
  }
  out.pieces.push_back(std::move(piece));
  out.scores.push_back(score);
  out.types.push_back(static_cast<TokenType>(type));
}

// Of a piece, an int32 of the message; below 0: none.
int id_of(uint64_t value, const std::string& where) {
  const auto id = static_cast<int64_t>(value);
  if (id >= INT32_MIN && id <= INT32_MAX) return static_cast<int>(id);
  fail(where, "the id of a piece", str(id));
}

void read_trainer(std::string_view bytes, SentencePieceVocabulary& out) {
  constexpr uint64_t kUnigram = 1;
  constexpr uint64_t kBpe = 2;
  Message message(bytes, out.where);
  uint64_t model_type = kUnigram;
  for (Message::Field field; message.next(field);) {
    switch (field.number) {
      case 3:
        model_type = field.value;
        break;
      case 24:
        if (field.value != 0)
          fail(out.where, "white space before words",
               "treat_whitespace_as_suffix");
        break;
      case 35:
        out.byte_fallback = field.value != 0;
        break;
      case 40:
        out.unknown = id_of(field.value, out.where);
        break;
      case 41:
        out.bos = id_of(field.value, out.where);
        break;
      case 42:
        out.eos = id_of(field.value, out.where);
        break;
      default:
        break;
    }
  }
  if (model_type != kBpe && model_type != kUnigram) {
    fail(out.where, "model_type 1 (unigram) or 2 (BPE)",
         str("type ", model_type));
  }
  out.is_unigram = model_type == kUnigram;
}

void read_normalizer(std::string_view bytes, SentencePieceVocabulary& out) {
  Message message(bytes, out.where);
  for (Message::Field field; message.next(field);) {
    switch (field.number) {
      case 2:
        out.charsmap = field.bytes;
        break;
      case 3:
        out.add_dummy_prefix = field.value != 0;
        break;
      case 4:
        out.remove_extra_whitespaces = field.value != 0;
        break;
      case 5:
        out.escape_whitespaces = field.value != 0;
        break;
      default:
        break;
    }
  }
}

// -1 for no text; the text of no token is an error.
int stated_id(const std::string& text, const SentencePieceVocabulary& in) {
  if (text.empty()) return -1;
  for (const AddedToken& token : in.added) {
    if (token.text == text) return token.id;
  }
  const auto found = std::find(in.pieces.begin(), in.pieces.end(), text);
  if (found == in.pieces.end()) {
    throw Error(ErrorKind::kInput,
                str("tokenizer_config.json beside ", in.where,
                    ": expected bos_token and eos_token of the vocabulary, "
                    "found '",
                    shown(text), "'; correct it"));
  }
  return static_cast<int>(found - in.pieces.begin());
}

// What the model's configuration ends a text with comes before what the
// tokenizer's does and the .model file; a text may end with any of them. A BOS
// for an end, as old conversions have it, ends one but is not taught.
void use_end_tokens(const SideFiles& side, SentencePieceVocabulary& out) {
  if (const int bos = stated_id(side.bos_text, out); bos >= 0) out.bos = bos;
  out.end_tokens = side.end_tokens;
  if (const int eos = stated_id(side.eos_text, out); eos >= 0) {
    out.end_tokens.push_back(eos);
    out.eos = eos;
  }
  if (side.eos >= 0 && side.eos != out.bos) out.eos = side.eos;
}

}  // namespace

SentencePieceVocabulary parse_sentencepiece(std::string_view bytes,
                                            const std::string& where) {
  SentencePieceVocabulary out;
  out.where = where;
  out.byte_fallback = false;
  out.remove_extra_whitespaces = true;  // the message's defaults
  bool has_trainer = false;
  Message message(bytes, where);
  for (Message::Field field; message.next(field);) {
    if (field.number < 1 || field.number > 3 || !field.is_bytes) continue;
    if (field.number == 1) read_piece(field.bytes, out);
    if (field.number == 2) {
      read_trainer(field.bytes, out);
      has_trainer = true;
    }
    if (field.number == 3) read_normalizer(field.bytes, out);
  }
  if (out.pieces.empty() || !has_trainer) {
    fail(where, "pieces and a trainer_spec", str(out.pieces.size(), " pieces"));
  }
  out.adds_bos = out.bos >= 0;
  return out;
}

SentencePieceVocabulary read_sentencepiece_vocabulary(const std::string& path) {
  constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
  SentencePieceVocabulary out =
      parse_sentencepiece(read_file(path, kMaxBytes), path);
  const std::string folder = std::filesystem::path(path).parent_path();
  use_token_files(folder, out);
  const SideFiles side = read_side_files(folder);
  if (side.adds_bos >= 0) out.adds_bos = side.adds_bos == 1;
  use_end_tokens(side, out);
  return out;
}

std::unique_ptr<Tokenizer> read_sentencepiece(const std::string& path) {
  return make_sentencepiece(read_sentencepiece_vocabulary(path));
}

}  // namespace selfalign::text
