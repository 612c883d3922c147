// SPDX-License-Identifier: Apache-2.0
// A model that judges: asked in the prompts of judge_prompts.h, every judgement
// logged as it comes, so that judging goes on where it was stopped.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/item_log.h"
#include "generate/generator.h"
#include "judge/judge_prompts.h"
#include "text/tokenizer.h"

namespace selfalign::judge {

struct JudgeOptions {
  std::string name;  // in results and as the name of its file
  generate::Generator* generator = nullptr;
  JudgePrompts prompts;
  JudgeLayout layout;
  // With it the marks of a chat layout are tokens; a server that takes a text
  // makes them tokens itself.
  std::shared_ptr<const text::Tokenizer> tokenizer = nullptr;
  int max_new_tokens = 512;  // of a judgement; greedy
};

// One thing to judge.
struct Inquiry {
  std::string role;  // of the prompt: "pair_turns"
  text::Values values;
  Json about;  // members of the logged item: which answers these are
};

class Judge {
 public:
  // Judgements go to `log` where it is not null.
  Judge(JudgeOptions options, eval::ItemLog* log);

  // The verdicts, in order: of pairs "first", "second" or "tie", of single
  // answers a number from 1 to 10, else true or false; null where the text has
  // none. Throws Error kInterrupted; what came until then is in the log.
  //
  // An item of the log is `about` with "prompt", "text" (what the judge wrote),
  // "finish", "tokens", "prompt_tokens" ("tokens_estimated" where a server did
  // not count them) and "verdict".
  std::vector<Json> ask(const std::vector<Inquiry>& inquiries,
                        const std::string& title);

  // Of the judgements since the last call (ItemLog::take_used); none without a
  // log.
  std::vector<uint64_t> take_keys();

  const JudgeOptions& options() const { return options_; }
  // All of the judge that its verdicts depend on.
  Json settings() const;

 private:
  generate::Request request_of(const Inquiry& inquiry);

  JudgeOptions options_;
  eval::ItemLog* log_;
  std::vector<std::string> marks_;  // what no text to judge may hold
  // By system text: what the prompts of a role have in common.
  std::map<std::string, std::shared_ptr<const std::string>> prefixes_;
};

// "[[A]]" and so on, read as the role asks.
Json read_verdict(const std::string& role, const std::string& text);

}  // namespace selfalign::judge
