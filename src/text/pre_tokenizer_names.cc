// SPDX-License-Identifier: Apache-2.0
// The pre-tokenizers that GGUF files name. Patterns are those of the families'
// own tokenizer.json; which name means which family is llama.cpp's table.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/shown.h"
#include "text/pre_tokenizer.h"

namespace selfalign::text {
namespace {

// The pattern of GPT-2 (Radford et al. 2019), and those of the LLaMA 3 and
// Qwen 2 tokenizers, as their tokenizer.json files state them.
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)"
    R"(|\s+(?!\S)|\s+)";
constexpr const char* kShort = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
constexpr const char* kLetters = R"(|[^\r\n\p{L}\p{N}]?\p{L}+)";
constexpr const char* kMarksAndSpaces =
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Tekken and GPT-4o: a word is capitals and then small letters.
constexpr const char* kUpper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
constexpr const char* kLower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
constexpr const char* kMarksSlashAndSpaces =
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// DeepSeek.
constexpr const char* kDeepSeekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-Ჺ)"
    R"(Ჽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1F7D}ᾀ-ᾴᾶ-ᾼ\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}\x{1FE0}-\x{1FEC}ῲ-ῴῶ-ῼℂℇℊ-ℓℕ)"
    R"(ℙ-ℝℤ\x{2126}ℨ\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ)"
    R"(𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr const char* kDeepSeekMarks = R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)";
constexpr const char* kDeepSeekHan = R"([一-龥ࠀ-一가-퟿]+)";
constexpr const char* kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
    R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

using Steps = std::vector<PreTokenizerStep>;

Steps numbers_of(const char* numbers) {
  return {split_step(str(kShort, kLetters, "|", numbers, kMarksAndSpaces))};
}

// `numbers`, and whether "'s" ends a word.
Steps cased(const char* numbers, bool ends) {
  const std::string tail = ends ? str(kShort, "?") : "";
  constexpr const char* kBefore = R"([^\r\n\p{L}\p{N}]?)";
  return {split_step(str(kBefore, kUpper, "*", kLower, "+", tail, "|", kBefore,
                         kUpper, "+", kLower, "*", tail, "|", numbers,
                         kMarksSlashAndSpaces))};
}

struct Named {
  const char* names;  // each between spaces, the first is shown
  Steps (*steps)();
};

const Named kNamed[] = {
    {" gpt-2 gpt2 olmo mpt jais phi-2 exaone4 trillion mellum gigachat a.x-4.0 "
     "granite-docling jina-es jina-de jina-v2-es jina-v2-de modern-bert "
     "jina-v1-en jina-v2-code roberta-bpe ",
     [] { return Steps{gpt2_step()}; }},
    {" smollm starcoder refact command-r codeshell exaone minerva-7b ",
     [] {
       return Steps{digits_step(true), gpt2_step()};
     }},
    {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx "
     "smaug-bpe glm4 chatglm-bpe ",
     [] { return numbers_of(R"(\p{N}{1,3})"); }},
    {" qwen2 stablelm2 deepseek-r1-qwen kormo megrez hunyuan solar-open "
     "grok-2 ",
     [] { return numbers_of(R"(\p{N})"); }},
    {" tekken ", [] { return cased(R"(\p{N})", false); }},
    {" gpt-4o llama4 minimax-m2 ", [] { return cased(R"(\p{N}{1,3})", true); }},
    {" deepseek-llm ",
     [] {
       return Steps{split_step("[\r\n]"),       split_step(kDeepSeekLetters),
                    split_step(kDeepSeekMarks), split_step(R"(\s+$)"),
                    split_step(kDeepSeekHan),   split_step(R"(\p{N}+)")};
     }},
    {" deepseek-coder ",
     [] {
       return Steps{split_step("[\r\n]"), split_step(R"(\s?\p{L}+)"),
                    split_step(R"(\s?\p{P}+)"), split_step(kDeepSeekHan),
                    split_step(R"(\p{N})")};
     }},
    {" deepseek-v3 hunyuan-dense ",
     [] {
       return Steps{split_step(R"(\p{N}{1,3})"),
                    split_step("[一-龥぀-ゟ゠-ヿ]+"),
                    split_step(kDeepSeek3)};
     }},
    {" hyperclovax mu-choco ",
     [] {
       return Steps{split_step(R"(\p{N})"),
                    split_step("[一-龥぀-ゟ゠-ヿ]+"),
                    split_step(kDeepSeek3)};
     }},
    {" falcon ",
     [] {
       return Steps{split_step(R"([\p{P}\$\+<=>\^~\|`]+)"), gpt2_step(),
                    split_step("[0-9][0-9][0-9]")};
     }},
    {" bloom poro-chat gpt3-finnish ",
     [] { return Steps{split_step(R"( ?[^(\s|.,!?…。，、।۔،)]+)")}; }},
    {" viking ",
     [] {
       return Steps{split_step(R"( ?[^(\s|.,!?…。，、।۔،)]+)"),
                    split_step(R"(\p{N})")};
     }},
    {" default ",  // llama.cpp's, where a file names none
     [] {
       return Steps{split_step(R"([\p{P}$+<=>^~|]+)"), gpt2_step(),
                    digits_step(false), split_step("[0-9][0-9][0-9]")};
     }},
};

}  // namespace

PreTokenizerStep gpt2_step() { return split_step(kGpt2); }

bool ignores_merges_named(const std::string& name) {
  constexpr std::string_view kNames[] = {"llama-bpe", "llama3",    "llama-v3",
                                         "falcon3",   "falcon-h1", "pixtral",
                                         "midm-2.0",  "lfm2",      "tekken"};
  return std::find(std::begin(kNames), std::end(kNames), name) !=
         std::end(kNames);
}

std::vector<PreTokenizerStep> pre_tokenizer_named(const std::string& name,
                                                  const std::string& where) {
  const auto has_name = [&](const Named& named) {
    return std::string_view(named.names).find(str(' ', name, ' ')) !=
           std::string_view::npos;
  };
  const auto* const found =
      std::find_if(std::begin(kNamed), std::end(kNamed), has_name);
  if (found != std::end(kNamed) && name.find(' ') == std::string::npos) {
    return found->steps();
  }
  std::string known;
  for (const Named& named : kNamed) {
    const std::string_view names = named.names;
    known +=
        str(known.empty() ? "" : ", ", names.substr(1, names.find(' ', 1) - 1));
  }
  throw Error(ErrorKind::kInput,
              str(where, ": expected a pre-tokenizer out of ", known,
                  " or of their relatives, found '", shown(name),
                  "'; use the model's HF folder with tokenizer.json"));
}

}  // namespace selfalign::text
