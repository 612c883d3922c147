// SPDX-License-Identifier: Apache-2.0
// Texts in pieces, held against the whole text for every tokenizer at hand, and
// what a chat feeds against what a training sample holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include "engine/testing.h"
#include "eval/forms.h"
#include "formats/load_tokenizer.h"
#include "generate/prompt_tokens.h"
#include "local/workbench.h"
#include "parse/thoughts.h"
#include "recipe/chat.h"
#include "serve/chat_form.h"
#include "stages/align.h"
#include "stages/conversations.h"
#include "text/byte_bpe.h"
#include "text/sentencepiece.h"

namespace selfalign::cli {
namespace {

using text::Tokenizer;

struct Named {
  std::string name;
  std::unique_ptr<Tokenizer> tokenizer;
  bool puts_space = false;  // before a text: the dummy prefix
};

// Pieces of text that join across every border that the layouts have.
std::unique_ptr<Tokenizer> small_sentencepiece() {
  using text::TokenType;
  const std::string mark = "\u2581";
  text::SentencePieceVocabulary v;
  v.where = "small SentencePiece";
  const auto add = [&v](const std::string& piece, TokenType type) {
    v.pieces.push_back(piece);
    v.scores.push_back(-static_cast<float>(v.scores.size()));
    v.types.push_back(type);
  };
  add("<unk>", TokenType::kUnknown);
  add("<s>", TokenType::kControl);
  add("</s>", TokenType::kControl);
  for (int b = 0; b < 256; ++b) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", b);
    add(piece, TokenType::kByte);
  }
  for (const char* piece :
       {"he", "##", "###", "er", "us", "user", ".#", "ow"}) {
    add(piece, TokenType::kNormal);
  }
  for (const char* piece : {"", "W", "h", "he", "a", "#", "##"}) {
    add(mark + piece, TokenType::kNormal);
  }
  add(mark + mark, TokenType::kNormal);
  for (char c = '!'; c <= '~'; ++c) {
    add(std::string(1, c), TokenType::kNormal);
  }
  return text::make_sentencepiece(std::move(v));
}

// Its "." takes the line breaks behind it along, as LLaMA 3's does; a text that
// does not begin with a space gets one.
std::unique_ptr<Tokenizer> small_bpe() {
  text::BpeVocabulary v;
  v.where = "small BPE";
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(
        text::bytes_to_alphabet(std::string(1, static_cast<char>(b))));
  }
  const std::string line = text::bytes_to_alphabet("\n");
  v.merges = {{"h", "e"}, {line, line}, {".", line + line}, {"#", "#"}};
  for (const auto& [left, right] : v.merges) v.tokens.push_back(left + right);
  text::AddedToken end;
  end.id = static_cast<int>(v.tokens.size());
  end.text = "<|im_end|>";
  end.special = true;
  v.tokens.push_back(end.text);
  v.added = {end};
  v.pre_tokenizer.emplace_back().kind =
      text::PreTokenizerStep::Kind::kPrefixSpace;
  for (const auto& step : text::pre_tokenizer_named("llama3", v.where)) {
    v.pre_tokenizer.push_back(step);
  }
  return text::make_byte_bpe(std::move(v));
}

std::vector<Named> all_tokenizers() {
  std::vector<Named> all;
  all.push_back({"small SentencePiece", small_sentencepiece(), true});
  all.push_back({"small BPE", small_bpe()});
  const std::string folder = "../shared/reference/tokenizers/";
  const std::pair<std::string, std::string> files[] = {
      {"gpt2", folder + "gpt2"},
      {"llama3_style", folder + "llama3_style"},
      {"starcoder", folder + "starcoder"},
      {"llama2", folder + "llama2_sentencepiece"},
      {"SmolLM2", ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf"}};
  for (const auto& [name, path] : files) {
    if (std::filesystem::exists(path)) {
      all.push_back({name, formats::load_tokenizer(path), name == "llama2"});
    } else {
      std::cerr << "left out: " << name << ", for " << path << " is absent\n";
    }
  }
  return all;
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = {
      "Why do people keep bees?\n\n### User\nHi there, user.\n\n### Sage\nOk.",
      "to the point.\n\n### User\nWhat is 12345 + 67?\n\n### Sage\n",
      "Q: Is it true?\nA: It isn't; she's said \"no\" -- twice...\n\n\nEnd",
      "  two spaces,   three;\ttabs\t\tand CRLF\r\nhere. ",
      "naïve café 中文字 \U0001F600 e\u0301 done",
      "Human: hello\n\nAssistant: hello to you"};
  return all;
}

generate::Request cut_at(const std::string& text, size_t at) {
  generate::Request request;
  request.prefix = std::make_shared<const std::string>(text.substr(0, at));
  request.suffix = text.substr(at);
  return request;
}

bool within_character(const std::string& text, size_t at) {
  return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

// An engine's prefix and suffix, and a context and what is scored after it.
TEST(PiecesTest, ATextCutAnywhereHasTheIdsOfTheWhole) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const std::string& text : texts()) {
      std::vector<int> whole = tokenizer->encode(text);
      if (tokenizer->adds_bos()) whole.insert(whole.begin(), tokenizer->bos());
      for (size_t at = 1; at < text.size(); ++at) {
        if (within_character(text, at)) continue;
        const auto pair =
            text::encode_pair(*tokenizer, text.substr(0, at), text.substr(at));
        const std::vector<int> head = tokenizer->encode(text.substr(0, at));
        ASSERT_FALSE(pair.tail.empty()) << name;
        if (head[0] != whole[whole.size() - tokenizer->encode(text).size()]) {
          EXPECT_EQ(pair.head, head) << name << ", byte " << at;  // swallowed
          continue;
        }
        EXPECT_EQ(generate::tokenize_prompt(cut_at(text, at), *tokenizer).ids,
                  whole)
            << name << ", byte " << at << " of " << text;
      }
    }
  }
}

TEST(PiecesTest, PiecesCutBetweenWordsHaveTheIdsOfTheWhole) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const std::string& text : texts()) {
      for (size_t at = 1; at + 1 < text.size(); ++at) {
        if (text[at] != ' ' || std::isspace(text[at - 1]) ||
            std::isspace(text[at + 1])) {
          continue;
        }
        std::vector<int> ids = tokenizer->encode(text.substr(0, at));
        const auto rest = tokenizer->encode_continuation(text.substr(at));
        ids.insert(ids.end(), rest.begin(), rest.end());
        EXPECT_EQ(ids, tokenizer->encode(text)) << name << ", byte " << at;
      }
    }
  }
}

// SentencePiece has no words that another cut would change.
TEST(PiecesTest, PiecesCutWhereATokenEndsHaveTheIdsOfTheWhole) {
  size_t num_cuts = 0;
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    if (!puts_space) continue;
    for (const std::string& text : texts()) {
      const std::vector<int> whole = tokenizer->encode(text);
      for (size_t n = 1; n < whole.size(); ++n) {
        std::vector<int> ids(whole.begin(), whole.begin() + long(n));
        const size_t at = tokenizer->decode(ids).size();
        if (at == 0) continue;  // the dummy prefix alone
        EXPECT_EQ(tokenizer->encode(text.substr(0, at)), ids) << name;
        const auto rest = tokenizer->encode_continuation(text.substr(at));
        ids.insert(ids.end(), rest.begin(), rest.end());
        EXPECT_EQ(ids, whole) << name << ", token " << n << " of " << text;
        ++num_cuts;
      }
    }
  }
  EXPECT_GT(num_cuts, 200u);
}

TEST(PiecesTest, GoingOnPutsNoSpaceBeforeTheText) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const std::string text : {"Sorry", "\n\n### User", "true"}) {
      const auto rest = tokenizer->encode_continuation(text);
      std::string said;
      for (const int id : rest) said += tokenizer->decode_token(id);
      EXPECT_EQ(said, text) << name;
    }
  }
}

struct Talk {
  std::vector<recipe::ChatTurn> turns;  // at most 8
  std::string question;                 // the last one
  std::string answer;                   // to it
};

const std::vector<Talk>& talks() {
  static const std::vector<Talk> all = {
      {{}, "Why?", "Because."},
      {{{"Hi", "Hello."}, {"One more\n", "1. a\n2. b"}}, "And now?", "Yes!"},
      {{{"# a", "#"}, {" x ", "she's \"here\""}}, "\n\n", "中文."}};
  return all;
}

std::vector<recipe::ChatPrompt> layouts() {
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  return {prompts.engraved,
          prompts.verbose,
          prompts.verbose_distill,
          {"", "Human: {instruction}\n\n", "Assistant: ", "\n\n", {}},
          {"P.", "{instruction}", "\n", "", {}}};
}

// All ids of a sample's inputs up to the last response, and those of it.
struct SampleIds {
  std::vector<int> before;
  std::vector<int> response;
};
// Of the turns before, those in `learnt` are learnt.
SampleIds ids_of(const Talk& talk, const recipe::ChatPrompt& layout,
                 const Tokenizer& tokenizer, std::bitset<8> learnt = ~0u) {
  stages::Dialogue dialogue;
  for (size_t i = 0; i < talk.turns.size(); ++i) {
    dialogue.turns.push_back(
        {talk.turns[i].user, talk.turns[i].answer, learnt[i]});
  }
  dialogue.turns.push_back({talk.question, talk.answer});
  stages::TrainingSample sample{0, stages::training_turns(layout, dialogue)};
  const train::Sample whole =
      local::tokenize_sample(tokenizer, sample, 100'000).sample;
  sample.turns.back().response.clear();
  sample.turns.back().ends = true;  // the row that predicts it ends the inputs
  const train::Sample asked =
      local::tokenize_sample(tokenizer, sample, 100'000).sample;
  const auto count = static_cast<ptrdiff_t>(asked.inputs.size());
  EXPECT_EQ(
      std::vector<int>(whole.inputs.begin(), whole.inputs.begin() + count),
      asked.inputs);
  return {asked.inputs, {whole.inputs.begin() + count, whole.inputs.end()}};
}

TEST(PiecesTest, AChatFeedsTheIdsOfATrainingSample) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const recipe::ChatPrompt& layout : layouts()) {
      for (const Talk& talk : talks()) {
        const SampleIds trained = ids_of(talk, layout, *tokenizer);
        const auto expect_trained = [&](const generate::Request& request,
                                        const char* by) {
          EXPECT_EQ(generate::tokenize_prompt(request, *tokenizer).ids,
                    trained.before)
              << name << ", " << by << ", " << layout.prompt << talk.question;
        };
        generate::Request terminal;
        const recipe::ChatText chat =
            recipe::render_chat(layout, talk.turns, 0, talk.question);
        terminal.suffix = chat.text;
        terminal.cuts = chat.cuts;
        expect_trained(terminal, "terminal");

        std::vector<serve::Message> messages;
        std::vector<recipe::ChatTurn> history;
        for (const recipe::ChatTurn& turn : talk.turns) {
          messages.push_back({"user", turn.user});
          messages.push_back({"assistant", turn.answer});
          history.push_back({turn.user, turn.answer});
        }
        messages.push_back({"user", talk.question});
        expect_trained(serve::ChatForm(layout).render(messages), "server");
        expect_trained(eval::chat_form(layout, {})->ask(history, talk.question),
                       "evaluation");
      }
    }
  }
}

// A chat keeps its answers without white space at their ends; a data set's have
// it.
TEST(PiecesTest, AChatFeedsTheIdsOfADataSetsAnswers) {
  const formats::Conversation given = {{{"user", " Hi\n"},
                                        {"assistant", "\n Hello.  \r\n"},
                                        {"user", "And now?\n\n"},
                                        {"assistant", "Yes!\n"}}};
  const Talk talk = {{{" Hi\n", parse::trim(given.turns[1].text)}},
                     "And now?\n\n",
                     parse::trim(given.turns[3].text)};
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const recipe::ChatPrompt& layout : layouts()) {
      const stages::TrainingSample sample{
          0, stages::training_turns(layout, stages::find_exchanges(given))};
      const SampleIds chat = ids_of(talk, layout, *tokenizer);
      std::vector<int> whole = chat.before;
      whole.insert(whole.end(), chat.response.begin(), chat.response.end());
      EXPECT_EQ(
          local::tokenize_sample(*tokenizer, sample, 100'000).sample.inputs,
          whole)
          << name << ", " << layout.prompt;
    }
  }
}

// Whichever answers are learnt, the model reads the same.
TEST(PiecesTest, AnAnswerThatIsNotLearntIsAPieceOfItsOwn) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const recipe::ChatPrompt& layout : layouts()) {
      for (const Talk& talk : talks()) {
        const SampleIds learnt = ids_of(talk, layout, *tokenizer);
        for (unsigned some = 0; some < 1u << talk.turns.size(); ++some) {
          const SampleIds read = ids_of(talk, layout, *tokenizer, some);
          EXPECT_EQ(read.before, learnt.before) << name << ", " << some;
          EXPECT_EQ(read.response, learnt.response) << name << ", " << some;
        }
      }
    }
  }
}

// The tokens that training teaches to say are the answer's own.
TEST(PiecesTest, AResponseHasTheIdsOfATextThatGoesOn) {
  for (const auto& [name, tokenizer, puts_space] : all_tokenizers()) {
    for (const recipe::ChatPrompt& layout : layouts()) {
      for (const Talk& talk : talks()) {
        std::vector<int> ids = tokenizer->encode_continuation(talk.answer);
        EXPECT_EQ(ids_of(talk, layout, *tokenizer).response, ids) << name;
      }
    }
  }
}

// Ids banned for "Sorry" by an engine with this tokenizer.
std::set<int> banned(std::shared_ptr<const Tokenizer> tokenizer,
                     const std::string& word) {
  const engine::OneThread one;
  engine::TinyShape shape;
  shape.vocab = tokenizer->size();
  const auto engine = engine::make_engine(engine::tiny_weights(shape),
                                          tokenizer, engine::kTinyOptions);
  generate::Sampling sampling;
  stages::ban_words({word}, *engine, sampling);
  std::set<int> ids;
  for (const auto& [id, bias] : sampling.logit_bias) {
    EXPECT_EQ(bias, -100.0);  // as published
    ids.insert(id);
  }
  return ids;
}

// Never the space of a dummy prefix, nor the letter that many words begin with.
TEST(BanWordsTest, BansWhatTheWordBeginsWith) {
  std::shared_ptr<const Tokenizer> small = small_sentencepiece();
  EXPECT_THAT(
      banned(small, "hex"),
      testing::ElementsAre(small->token_id("he"), small->token_id("\u2581he")));
  EXPECT_THAT(banned(small, "Sorry"), testing::IsEmpty());
  const std::map<std::string, std::set<int>> wanted = {
      // LLaMA 2: "\u2581Sorry"; without a space it is "S" and "orry".
      {"llama2", {8221}},
      // "Sorry" and, of " Sorry", " Sor".
      {"SmolLM2", {37388, 25442}}};
  for (Named& each : all_tokenizers()) {
    const auto ids = wanted.find(each.name);
    if (ids == wanted.end()) continue;
    std::shared_ptr<const Tokenizer> tokenizer = std::move(each.tokenizer);
    EXPECT_EQ(banned(tokenizer, "Sorry"), ids->second) << each.name;
    for (const int id : ids->second) {
      EXPECT_THAT(tokenizer->decode_token(id), testing::HasSubstr("Sor"));
    }
  }
}

}  // namespace
}  // namespace selfalign::cli
