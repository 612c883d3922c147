// SPDX-License-Identifier: Apache-2.0
// Tokens per second of the local generator on random tokens: prefill of a
// shared prefix, then decoding of all slots at temperature 1 with top-p, as
// stage 2 does it; and contexts per second where two answers of one token are
// scored after the same prefix and another suffix, as evaluations do it.
// usage: decode_bench MODEL [DTYPE SLOTS PREFIX SUFFIX NEW ROUNDS WEIGHTS
// ENGINES PREFIXES COMMON], where rows take PREFIXES prefixes of PREFIX tokens
// in turns, of which the first COMMON are the same
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "base/number.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/engine_team.h"
#include "engine/kernels.h"
#include "engine/parallel.h"
#include "model/device.h"
#include "model/load_weights.h"

namespace selfalign {
namespace {

constexpr uint64_t kSeed = 2023;

// Text is a list of token ids, so that lengths are exact.
class IdTokenizer : public text::Tokenizer {
 public:
  explicit IdTokenizer(int size) : size_(size) {}
  std::vector<int> encode(std::string_view text, bool) const override {
    std::vector<int> ids;
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = std::min(text.find(' ', begin), text.size());
      ids.push_back(parse_number<int>(text.substr(begin, end - begin)).value());
    }
    return ids;
  }
  std::vector<int> encode_continuation(std::string_view text) const override {
    return encode(text, false);
  }
  std::string decode(const std::vector<int>& ids, bool) const override {
    std::string text;
    for (int id : ids) text += decode_token(id, false);
    return text;
  }
  std::string decode_token(int id, bool) const override {
    return std::to_string(id) + " ";
  }
  int size() const override { return size_; }
  int bos() const override { return -1; }
  int eos() const override { return 0; }
  bool adds_bos() const override { return false; }
  const std::vector<int>& end_tokens() const override { return ends_; }
  int token_id(std::string_view) const override { return -1; }
  bool is_special(int) const override { return false; }

 private:
  int size_;
  std::vector<int> ends_ = {0};
};

std::string random_text(uint64_t key, int tokens, int vocab) {
  std::string text;
  for (int t = 0; t < tokens; ++t) {
    text += std::to_string(draw_index(key, t, vocab)) + " ";
  }
  return text;
}

// Behind the weights' name: EngineOptions::int8_prefix.
constexpr char kInt8Prefix[] = "+int8_prefix";

struct Job {
  int slots = 64, prefix = 1700, suffix = 30, new_tokens = 48, rounds = 1;
  int engines = 1;  // that share the slots; 0: one for each NUMA node
  int prefixes = 1, common = 0;

  std::string prefix_text(int which, int vocab) const {
    return random_text(kSeed, common, vocab) +
           random_text(kSeed + 1'000'000 * (1 + uint64_t(which)),
                       prefix - common, vocab);
  }
};

// Seconds for `rows` rows of `new_tokens` tokens.
double timed(generate::Generator& generator, const Job& job, int vocab,
             int rows, int new_tokens) {
  std::vector<std::shared_ptr<const std::string>> prefixes;
  for (int i = 0; i < job.prefixes; ++i) {
    prefixes.push_back(
        std::make_shared<const std::string>(job.prefix_text(i, vocab)));
  }
  int given = 0;
  const auto begin = std::chrono::steady_clock::now();
  generator.generate(
      [&]() -> std::optional<generate::Request> {
        if (given == rows) return std::nullopt;
        generate::Request request;
        request.key = kSeed + static_cast<uint64_t>(++given);
        request.prefix = prefixes[size_t(given) % prefixes.size()];
        request.suffix = random_text(request.key, job.suffix, vocab);
        request.sampling.top_p = 0.98;
        request.sampling.max_new_tokens = new_tokens;
        request.sampling.ban_eos = true;
        return request;
      },
      [](generate::Completion) {});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

// Seconds for `count` contexts.
double timed_scores(generate::Generator& generator, const Job& job, int vocab,
                    int count) {
  const std::string prefix = job.prefix_text(0, vocab);
  std::vector<generate::ScoreRequest> requests(count);
  for (generate::ScoreRequest& request : requests) {
    request.key = kSeed + static_cast<uint64_t>(&request - requests.data());
    request.context = prefix + random_text(request.key, job.suffix, vocab);
    request.continuations = {"7", "8"};
  }
  const auto begin = std::chrono::steady_clock::now();
  generator.score(requests);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
}

void run(const std::string& path, const std::string& dtype, std::string bits,
         const Job& job) {
  const model::Compute compute = model::choose_compute("auto", dtype);
  engine::EngineOptions options;
  if (bits.ends_with(kInt8Prefix)) {
    options.int8_prefix = true;
    bits.resize(bits.size() - std::string(kInt8Prefix).size());
  }
  const model::Rounding rounding = model::rounding_named(bits);
  const auto weights = std::make_shared<const model::Weights>(
      compute.device.is_cpu()
          ? model::open_weights(path, compute.dtype, rounding)
          : model::load_weights(path, compute.device, compute.dtype));
  const int vocab = static_cast<int>(weights->config.vocab_size);
  const auto places = engine::engine_places(processor_nodes(), job.engines,
                                            engine::num_threads());
  const auto engines = static_cast<int>(places.size());
  options.num_slots = (job.slots + engines - 1) / engines;
  // Prefixes are kept between what is timed.
  options.max_context = std::max({options.max_context,
                                  job.prefix + job.suffix + job.new_tokens + 1,
                                  job.prefix * job.prefixes / 4 + 1});
  const auto make = [&](size_t) {
    return engine::make_engine(weights, std::make_shared<IdTokenizer>(vocab),
                               options);
  };
  const auto generator =
      engines == 1 ? make(0) : engine::make_engine_team(places, make);
  std::printf("%s%s, kernels %s, %d slots, %d engines\n",
              model::describe(compute).c_str(),
              model::describe(rounding).c_str(), engine::kernels().name,
              job.slots, engines);
  const double prefill = timed(*generator, job, vocab, job.prefixes, 1);
  const int prompt = job.prefix + job.suffix;
  std::printf("prefill %8.1f tok/s  (%d of %d tokens)\n",
              job.prefixes * prompt / prefill, job.prefixes, prompt);
  // What the first token of every row costs is its prompt's, not decoding's.
  const double prompts = timed(*generator, job, vocab, job.slots, 1);
  const int rows = job.slots * job.rounds;
  const double all = timed(*generator, job, vocab, job.slots, job.new_tokens);
  std::printf("decode  %8.1f tok/s  (%d rows of %d, after their prompts)\n",
              job.slots * (job.new_tokens - 1) / (all - prompts), job.slots,
              job.new_tokens);
  const double refilled = timed(*generator, job, vocab, rows, job.new_tokens);
  std::printf("rows    %8.1f tok/s  (%d rows, prompts of %d included)\n",
              rows * job.new_tokens / refilled, rows, job.suffix);
  timed_scores(*generator, job, vocab, 1);  // the prefix
  const double scored = timed_scores(*generator, job, vocab, job.slots);
  std::printf("scores  %8.1f contexts/s  (%d suffixes of %d, 2 answers)\n",
              job.slots / scored, job.slots, job.suffix);
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: decode_bench MODEL [DTYPE SLOTS PREFIX SUFFIX NEW "
                 "ROUNDS WEIGHTS ENGINES PREFIXES COMMON]\n"
                 "WEIGHTS: full, int8, int4 or w8a8, with +int8_prefix or "
                 "without\n");
    return 2;
  }
  const auto number = [&](int i, int fallback) {
    return argc > i ? selfalign::parse_number<int>(argv[i]).value() : fallback;
  };
  try {
    selfalign::run(argv[1], argc > 2 ? argv[2] : "auto",
                   argc > 8 ? argv[8] : "full",
                   {.slots = number(3, 64),
                    .prefix = number(4, 1700),
                    .suffix = number(5, 30),
                    .new_tokens = number(6, 48),
                    .rounds = number(7, 1),
                    .engines = number(9, 1),
                    .prefixes = number(10, 1),
                    .common = number(11, 0)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
