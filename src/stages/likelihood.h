// SPDX-License-Identifier: Apache-2.0
// How likely a model finds a text, where a verdict depends on it. A run can be
// judged again without the model, so every number is kept in the store: a row
// of an own stage ("instruct.tasks.scores") with the judged row as its parent
// and "of" (what was scored), "logprob" and "tokens" as content, or "finish" in
// place of the two where a server gave none. Who asks again after a restart
// gets the stored one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "generate/generator.h"
#include "recipe/prompts.h"
#include "stages/completing.h"
#include "store/store.h"

namespace selfalign::stages {

// The stage of the scores of rows of `judged`.
std::string scores_of(const std::string& judged);

// A text whose likelihood is asked for.
struct ScoredText {
  uint64_t parent = 0;  // the row that is judged
  std::string of;       // what it is, for the person: "instruction"
  std::string context;
  std::string text;  // not empty
};

struct Likelihood {
  double sum = 0;      // natural logarithm, of the whole text
  int64_t tokens = 0;  // at least one
  // Without has_answer a server gave no score, and the rest says nothing.
  generate::Finish finish = generate::Finish::kStop;
  double mean() const { return sum / double(tokens); }  // a token
};

class Likelihoods {
 public:
  // For rows of the stage `judged`. Both references outlive this.
  Likelihoods(const std::string& judged, generate::Generator& generator,
              store::Store& store)
      : stage_(scores_of(judged)),
        generator_(generator),
        store_(store),
        fingerprint_(generator.fingerprint()) {}

  // Asks at once for what of() will be asked; what an earlier call asked for,
  // and of() was not, is forgotten.
  void foresee(const std::vector<ScoredText>& texts);

  // The text after its context. The row that keeps it goes to `out`. One call
  // at a time, in the order of the rows.
  Likelihood of(const ScoredText& scored, Accepted& out);

  // Commits the stage.
  void finish();

  // Scores given so far; an earlier process may have given some.
  int64_t num_rows() const { return num_rows_; }
  void set_num_rows(int64_t number) { num_rows_ = number; }

 private:
  generate::ScoreRequest request_of(const ScoredText& scored) const;
  std::optional<generate::ContinuationScore> score(
      const generate::ScoreRequest& request);

  const std::string stage_;
  generate::Generator& generator_;
  store::Store& store_;
  const std::string fingerprint_;
  std::unordered_map<uint64_t, generate::ContinuationScore> foreseen_;
  int64_t num_rows_ = 0;
};

// A score as its row keeps it; none if `content` is none. As a reply it has the
// same sum and number of tokens.
std::optional<generate::ContinuationScore> kept_score(const Json& content);

// Nats a token by which the instruction makes the beginning of its answer more
// likely under the short prompt of stage 3 than the same prompt without a
// question does: about 0 for an answer that would fit any question.
struct Gain {
  double nats = 0;
  generate::Finish finish = generate::Finish::kStop;  // as of a Likelihood
};
// `texts` are gain_texts().
Gain gain_of_instruction(const std::vector<ScoredText>& texts,
                         Likelihoods& likelihoods, Accepted& out);
// The beginning of the answer to row `row`, with the instruction and alone.
std::vector<ScoredText> gain_texts(const store::Row& row,
                                   const std::string& instruction,
                                   const std::string& answer,
                                   const recipe::ChatPrompt& prompt);

// What the user of `prompt` is about to say: all up to the instruction.
std::string before_instruction(const recipe::ChatPrompt& prompt);

}  // namespace selfalign::stages
