#include "recipe/recipe_text.h"

#include <yaml-cpp/yaml.h>

#include <charconv>

#include "base/error.h"
#include "generate/remote.h"

namespace selfalign::recipe {
namespace {

std::string number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

void put(YAML::Emitter& out, const char* key, const std::string& value) {
  out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
}
void put_list(YAML::Emitter& out, const char* key,
              const std::vector<std::string>& values) {
  out << YAML::Key << key << YAML::Value << YAML::BeginSeq;
  for (const std::string& value : values) out << YAML::DoubleQuoted << value;
  out << YAML::EndSeq;
}
void put(YAML::Emitter& out, const char* key, double value) {
  out << YAML::Key << key << YAML::Value << number(value);
}
template <typename Integer>
void put_int(YAML::Emitter& out, const char* key, Integer value) {
  out << YAML::Key << key << YAML::Value << std::to_string(value);
}
void put_bool(YAML::Emitter& out, const char* key, bool value) {
  out << YAML::Key << key << YAML::Value << (value ? "true" : "false");
}

void put_sampling(YAML::Emitter& out, const char* key,
                  const generate::Sampling& sampling) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  put(out, "temperature", sampling.temperature);
  put(out, "top_p", sampling.top_p);
  put_int(out, "max_new_tokens", sampling.max_new_tokens);
  put(out, "repetition_penalty", sampling.repetition_penalty);
  out << YAML::Key << "ngram_penalty" << YAML::Value << YAML::Flow
      << YAML::BeginSeq;
  for (const double penalty : sampling.ngram_penalty) out << number(penalty);
  out << YAML::EndSeq << YAML::Key << "ban_eos" << YAML::Value
      << (sampling.ban_eos ? "true" : "false") << YAML::EndMap;
}

void put_tune(YAML::Emitter& out, const char* key, const TuneOptions& tune) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  put_int(out, "rank", tune.rank);
  put(out, "alpha", tune.alpha);
  put(out, "dropout", tune.dropout);
  put_int(out, "epochs", tune.epochs);
  put_int(out, "batch_size", tune.batch_size);
  put_int(out, "max_length", tune.max_length);
  put(out, "learning_rate", tune.learning_rate);
  put_int(out, "warmup_steps", tune.warmup_steps);
  put(out, "weight_decay", tune.weight_decay);
  put(out, "max_grad_norm", tune.max_grad_norm);
  put_int(out, "checkpoint_steps", tune.checkpoint_steps);
  put_int(out, "seed", tune.seed);
  out << YAML::EndMap;
}

void put_model(YAML::Emitter& out, const ModelOptions& model) {
  out << YAML::Key << "model" << YAML::Value << YAML::BeginMap;
  put(out, "path", model.path);
  put(out, "device", model.device);
  put(out, "dtype", model.dtype);
  put_int(out, "num_slots", model.num_slots);
  put_int(out, "max_context", model.max_context);
  if (generate::is_remote_model(model.path)) {
    put(out, "api", model.api);
    put(out, "price_input", model.price.input);
    put(out, "price_output", model.price.output);
    if (!model.api_key_file.empty()) {
      put(out, "api_key_file", model.api_key_file);
    }
  }
  out << YAML::EndMap;
}

void put_instruct(YAML::Emitter& out, const InstructOptions& instruct) {
  out << YAML::Key << "instruct" << YAML::Value << YAML::BeginMap;
  put_int(out, "num_instructions", instruct.num_instructions);
  put_int(out, "num_red_team", instruct.num_red_team);
  put_int(out, "num_exemplars", instruct.num_exemplars);
  put_int(out, "opening_words", instruct.opening_words);
  put_int(out, "max_requests", instruct.max_requests);
  put(out, "max_rouge_l", instruct.max_rouge_l);
  put_int(out, "topics_per_type", instruct.topics_per_type);
  put_int(out, "topic_rounds", instruct.topic_rounds);
  put_int(out, "num_machine_exemplars", instruct.num_machine_exemplars);
  put(out, "balance", instruct.balance);
  put_int(out, "hints_per_request", instruct.hints_per_request);
  put_int(out, "shard_size", instruct.shard_size);
  put_bool(out, "strict_form", instruct.strict_form);
  put(out, "min_log_likelihood", instruct.min_log_likelihood);
  put_sampling(out, "sampling", instruct.sampling);
  put_sampling(out, "topic_sampling", instruct.topic_sampling);
  put_sampling(out, "question_sampling", instruct.question_sampling);
  out << YAML::EndMap;
}

void put_given(YAML::Emitter& out, const char* key, const GivenData& given) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  put(out, "path", given.path);
  put_int(out, "max_rows", given.max_rows);
  out << YAML::EndMap;
}

void put_answers(YAML::Emitter& out, const char* key,
                 const AnswerOptions& answers) {
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  put_sampling(out, "sampling", answers.sampling);
  put(out, "min_gain", answers.limits.min_gain);
  put(out, "max_repetition", answers.limits.max_repetition);
  put(out, "min_new_content", answers.limits.min_new_content);
  put_bool(out, "need_end", answers.limits.need_end);
  out << YAML::EndMap;
}

// One folder or a list of them.

}  // namespace

std::string recipe_to_yaml(const Recipe& recipe) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  put(out, "name", recipe.name);
  put(out, "run_folder", recipe.run_folder);
  put(out, "profile", recipe.profile);
  put_int(out, "seed", recipe.seed);
  out << YAML::Key << "stages" << YAML::Value << YAML::Flow << recipe.stages;
  put_model(out, recipe.model);
  put(out, "prompts_folder", recipe.prompts_folder);
  put_list(out, "prompts_overlay", recipe.prompts_overlay);
  put_given(out, "instructions", recipe.instructions);
  put_instruct(out, recipe.instruct);
  const ContaminationOptions& contamination = recipe.contamination;
  out << YAML::Key << "contamination" << YAML::Value << YAML::BeginMap;
  put_list(out, "sets", contamination.sets);
  put_int(out, "ngram_words", contamination.ngram_words);
  put(out, "max_rouge_l", contamination.max_rouge_l);
  out << YAML::EndMap;
  put_answers(out, "align", recipe.align);
  out << YAML::Key << "refill" << YAML::Value << YAML::BeginMap;
  put_int(out, "min_per_rule", recipe.refill.min_per_rule);
  put_int(out, "max_requests", recipe.refill.max_requests);
  out << YAML::EndMap;
  put_tune(out, "engrave", recipe.engrave);
  put_answers(out, "verbose", recipe.verbose);
  put_tune(out, "final", recipe.final);
  put_given(out, "data", recipe.data);
  put_tune(out, "tune", recipe.tune);
  put_int(out, "identity_repeats", recipe.identity_repeats);
  put(out, "identity_share", recipe.identity_share);
  put_int(out, "num_held_out", recipe.num_held_out);
  out << YAML::Key << "comparison" << YAML::Value << YAML::BeginMap;
  put(out, "decoding", recipe.comparison.decoding);
  put_sampling(out, "sampling", recipe.comparison.sampling);
  out << YAML::EndMap;
  out << YAML::EndMap;
  return str(out.c_str(), "\n");
}

std::string tune_to_yaml(const TuneOptions& options) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  put_tune(out, "tune", options);
  out << YAML::EndMap;
  return out.c_str();
}

}  // namespace selfalign::recipe
