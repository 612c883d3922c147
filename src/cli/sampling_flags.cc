#include "cli/sampling_flags.h"

#include "cli/options.h"

namespace selfalign::cli {

void add_sampling(CLI::App& command, recipe::GivenSampling& given,
                  const std::string& otherwise) {
  command
      .add_option("--temperature", given.temperature,
                  "0 always takes the most probable word, without any penalty; "
                  "else " +
                      otherwise)
      ->check(in_range(ranges::kTemperature));
  command
      .add_option("--top-p", given.top_p,
                  "of the probability, in (0, 1]; the rest is never drawn")
      ->check(in_range(ranges::kTopP));
  command
      .add_option("--max-tokens,--max-new-tokens", given.max_new_tokens,
                  "of one answer, at most")
      ->check(in_range(ranges::kMaxNewTokens));
  command
      .add_option("--repetition-penalty", given.repetition_penalty, "1 is off")
      ->check(in_range(ranges::kRepetitionPenalty));
}

}  // namespace selfalign::cli
