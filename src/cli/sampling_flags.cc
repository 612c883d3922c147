#include "cli/sampling_flags.h"

namespace selfalign::cli {

void add_sampling(CLI::App& command, stages::GivenSampling& given,
                  const std::string& otherwise) {
  command
      .add_option("--temperature", given.temperature,
                  "0 always takes the most probable word, without any penalty; "
                  "else " +
                      otherwise)
      ->check(CLI::Range(0.0, 100.0));
  command
      .add_option("--top-p", given.top_p,
                  "of the probability, in (0, 1]; the rest is never drawn")
      ->check(CLI::Range(1e-6, 1.0));
  command
      .add_option("--max-tokens,--max-new-tokens", given.max_new_tokens,
                  "of one answer, at most")
      ->check(CLI::Range(1, 1 << 20));
  command
      .add_option("--repetition-penalty", given.repetition_penalty, "1 is off")
      ->check(CLI::Range(0.01, 100.0));
}

}  // namespace selfalign::cli
