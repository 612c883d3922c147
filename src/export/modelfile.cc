// SPDX-License-Identifier: Apache-2.0
#include "export/modelfile.h"

#include <sstream>

#include "base/json.h"
#include "recipe/prompts.h"

namespace selfalign::exports {
namespace {

// A literal of Go's templates, which reads JSON's escapes; three quotes, which
// would end the template, never stand in a row in one.
std::string literal(const std::string& text) {
  return "{{ " + dump_json(Json(text)) + " }}";
}

// What chat_template (stages/adapter_prompt.h) writes, in the words of Go.
std::string go_template(const recipe::ChatPrompt& prompt) {
  const std::string mark = "\x01";
  const std::string turn = recipe::chat_turn(prompt, mark);
  const size_t at = turn.find(mark);
  const std::string before = turn.substr(0, at);
  const std::string after = turn.substr(at + mark.size());
  return "{{ if .System }}{{ .System }}" + literal("\n\n") + "{{ else }}" +
         literal(prompt.prompt) +
         "{{ end }}{{ range $i, $turn := .Messages }}"
         "{{ $last := eq (len (slice $.Messages $i)) 1 }}"
         "{{ if eq $turn.Role \"user\" }}" +
         literal(before) + "{{ $turn.Content }}" + literal(after) +
         "{{ else if eq $turn.Role \"assistant\" }}{{ $turn.Content }}"
         "{{ if not $last }}" +
         literal(prompt.between) + "{{ end }}{{ end }}{{ end }}";
}

}  // namespace

std::string modelfile(const std::string& from, const std::string& adapter,
                      const std::optional<stages::AdapterPrompt>& prompt) {
  std::ostringstream out;
  out << "FROM " << from << "\n";
  if (!adapter.empty()) out << "ADAPTER " << adapter << "\n";
  if (!prompt) return out.str();
  out << "TEMPLATE \"\"\"" << go_template(prompt->prompt) << "\"\"\"\n"
      << "PARAMETER temperature " << prompt->sampling.temperature << "\n"
      << "PARAMETER top_p " << prompt->sampling.top_p << "\n"
      << "PARAMETER top_k 0\n"
      << "PARAMETER repeat_penalty " << prompt->sampling.repetition_penalty
      << "\nPARAMETER num_predict " << prompt->sampling.max_new_tokens << "\n";
  // Texts in three quotes are taken as they are.
  const std::string quotes = "\"\"\"";
  for (const std::string& stop : prompt->prompt.stop) {
    if (stop.find(quotes) != std::string::npos) continue;
    out << "PARAMETER stop " << quotes << stop << quotes << "\n";
  }
  return out.str();
}

}  // namespace selfalign::exports
