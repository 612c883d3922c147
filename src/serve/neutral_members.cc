// SPDX-License-Identifier: Apache-2.0
#include "serve/neutral_members.h"

#include <vector>

namespace selfalign::serve {
namespace {

struct Neutral {
  const char* name;
  // Null, with which every member changes nothing, need not be named.
  std::vector<Value> values;
};

const Value kEmptyList = Value::array();
const Value kEmptyObject = Value::object();

void take_all(Members& members, const std::vector<Neutral>& table) {
  for (const Neutral& one : table) members.take_neutral(one.name, one.values);
}

}  // namespace

void take_neutral_members(Members& members) {
  static const std::vector<Neutral> table = {
      // OpenAI
      {"presence_penalty", {0}},
      {"service_tier", {"auto", "default"}},
      {"store", {false}},
      {"web_search_options", {kEmptyObject}},
      // vLLM
      {"top_k", {-1, 0}},
      {"min_p", {0}},
      {"min_tokens", {0}},
      {"length_penalty", {1}},
      {"early_stopping", {false}},
      {"use_beam_search", {false}},
      {"stop_token_ids", {kEmptyList}},
      {"bad_words", {kEmptyList}},
      {"include_stop_str_in_output", {false}},
      {"skip_special_tokens", {true}},
      {"spaces_between_special_tokens", {true}},
      {"return_tokens_as_token_ids", {false}},
      {"return_token_ids", {false}},
      {"priority", {0}},
      {"response_format", {Value::object({{"type", "text"}})}},
      {"vllm_xargs", {kEmptyObject}},
      // llama.cpp
      {"cache_prompt", {true, false}},  // only how fast the answer comes
      {"id_slot", {-1}},
      {"n_probs", {0}},
      {"n_keep", {0}},
      {"typical_p", {1}},
      {"dynatemp_range", {0}},
      {"mirostat", {0}},
      {"dry_multiplier", {0}},
      {"xtc_probability", {0}},
      {"grammar", {""}},
      {"lora", {kEmptyList}},
      {"timings_per_token", {false}},
      {"return_progress", {false}},
      {"return_tokens", {false}},
  };
  take_all(members, table);
  // The client's own bookkeeping, and hints to a cache.
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key",
                           "prompt_cache_retention", "request_id"}) {
    members.take_string(name);
  }
  members.take("metadata");
  members.take_object("prompt_cache_options");
}

void take_neutral_completion_members(Members& members) {
  members.take_neutral("suffix", {""});
  members.take_neutral("add_special_tokens", {true});
}

void take_neutral_chat_members(Members& members) {
  static const std::vector<Neutral> table = {
      // OpenAI
      {"tools", {kEmptyList}},
      {"tool_choice", {"none", "auto"}},  // of no tools
      {"parallel_tool_calls", {true, false}},
      {"functions", {kEmptyList}},
      {"function_call", {"none", "auto"}},
      {"modalities", {Value::array({"text"})}},
      {"reasoning_effort", {"none"}},
      {"verbosity", {"medium"}},
      // vLLM
      {"echo", {false}},
      {"add_generation_prompt", {true}},
      {"continue_final_message", {false}},
      {"add_special_tokens", {false}},
      {"include_reasoning", {true, false}},
      {"documents", {kEmptyList}},
      {"chat_template_kwargs", {kEmptyObject}},
      // llama.cpp
      {"parse_tool_calls", {true, false}},
      {"reasoning_format", {"none", "auto"}},
  };
  take_all(members, table);
}

void take_neutral_tokenize_members(Members& members) {
  static const std::vector<Neutral> table = {
      {"add_generation_prompt", {true}},
      {"continue_final_message", {false}},
      {"chat_template_kwargs", {kEmptyObject}},
      {"tools", {kEmptyList}},
      {"with_pieces", {false}},
      {"return_token_strs", {false}},
  };
  take_all(members, table);
}

}  // namespace selfalign::serve
