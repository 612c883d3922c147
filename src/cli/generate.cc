// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "base/progress.h"
#include "cli/assistant.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/requests.h"
#include "cli/unused_options.h"
#include "formats/peft.h"
#include "generate/remote.h"
#include "local/workbench.h"
#include "recipe/chat.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(One request a line, one result a line, in the same order:
  echo '{"prompt": "The capital of France is", "temperature": 0,
         "max_tokens": 8}' | tr -d '\n' | selfalign generate --model MODEL
  {"key":"9f...","text":" Paris.","finish_reason":"stop",...}

Members of a request (all but prompt may be left out):
  prompt, prefix              prefix stands before the prompt; what many
                              requests have in common is computed once
  key                         a number or string of your own, unique; it seeds
                              the row: the same key, prompt and settings give
                              the same text again; an assistant takes a number
                              as chat --seed and the server's "seed" do
  temperature, top_p          1.0 each, of an assistant as in chat; temperature
                              0 is greedy
  max_tokens, stop            256 tokens, of an assistant as in chat (also
                              max_new_tokens); stop is a string or a list
  repetition_penalty          1.0 is off
  ngram_penalty               [n=1, n=2, n=3, n=4], taken off the logits
  logit_bias                  {"TOKEN ID": number or "-inf"}
  ban_eos, logprobs           false; logprobs adds token_logprobs
finish_reason is stop, length or no_room (prompt longer than --max-context); of a
server's model also why it gave no answer, with "error".

An adapter is asked as it was trained, the prompt being the user's words; --form
names another form (see chat), --form raw gives it the prompt as it is:
  selfalign generate --model MODEL --adapter ADAPTER < questions.jsonl

A model behind an OpenAI-compatible server, --slots requests at once; a key, if
it needs one, is given with the host it is for, and sent to no other:
  export SELFALIGN_REMOTE_KEY="api.openai.com KEY"
  selfalign generate --model https://api.openai.com/v1#NAME < requests.jsonl
A row that the server gives no answer to, after some tries, has no text, says why
in "error", and finish_reason bad_answer, too_large, timed_out, broken_off,
refused or server_error; the others go on.
Whether the same seed gives the same text again is then the server's doing. A
server that only chats (--api chat, or found out) is asked for what comes next;
with --form none each prompt is what the user says. --price 2.5,10 shows the cost.)";

// Joins the engine, which answers in any order, to lines in and lines out.
class Lines {
 public:
  // Without an assistant prompts go to the model as they are.
  // `fingerprint` is the model's.
  Lines(LineReader& reader, int vocab_size, std::optional<Assistant> assistant,
        std::string fingerprint)
      : reader_(reader),
        parser_(vocab_size,
                assistant ? assistant->sampling : generate::Sampling()),
        fingerprint_(std::move(fingerprint)),
        progress_("generate", 0, "rows") {
    if (assistant) form_ = std::move(assistant->prompt);
  }

  // Does not wait for a line while rows are being decoded.
  std::optional<generate::Request> next() {
    if (problem_ || (in_flight_ > 0 && !reader_.ready())) return std::nullopt;
    const std::optional<std::string> line = reader_.next_filled();
    if (!line) return std::nullopt;
    try {
      GenerateLine parsed = parser_.parse(*line, reader_.where());
      generate::Request request = std::move(parsed.request);
      if (form_) put_under(*form_, fingerprint_, reader_.where(), request);
      parsed.request = {};
      index_of_[request.key] = num_read_;
      waiting_.emplace(num_read_++, Waiting{std::move(parsed), std::nullopt});
      ++in_flight_;
      return request;
    } catch (const Error& error) {
      problem_ = error;  // the rows before this line are finished first
      return std::nullopt;
    }
  }

  void done(generate::Completion completion) {
    --in_flight_;
    usage_.add(completion);
    const auto index = index_of_.find(completion.key);
    waiting_.at(index->second).completion = std::move(completion);
    index_of_.erase(index);
    while (!waiting_.empty() && waiting_.begin()->second.completion) {
      const Waiting& first = waiting_.begin()->second;
      write_json(completion_json(*first.completion, first.line));
      waiting_.erase(waiting_.begin());
      ++num_written_;
    }
    progress_.update(num_written_);
  }

  const generate::Usage& usage() const { return usage_; }

  void finish() const {
    if (problem_) throw *problem_;
  }

 private:
  struct Waiting {
    GenerateLine line;
    std::optional<generate::Completion> completion;
  };

  LineReader& reader_;
  GenerateReader parser_;
  std::optional<recipe::ChatPrompt> form_;
  const std::string fingerprint_;
  Progress progress_;
  std::map<uint64_t, Waiting> waiting_;              // by place in the input
  std::unordered_map<uint64_t, uint64_t> index_of_;  // key -> place
  generate::Usage usage_;
  uint64_t num_read_ = 0;
  uint64_t num_written_ = 0;
  int in_flight_ = 0;
  std::optional<Error> problem_;
};

struct GenerateFlags : ModelFlags {
  std::string form = "auto";
  std::string prompts;
};

void generate_lines(const GenerateFlags& flags, const CLI::App& command) {
  const bool is_tuned =
      !flags.adapter.empty() || formats::is_tuned_model(flags.model.path);
  const bool is_raw =
      flags.form == "raw" || (flags.form == "auto" && !is_tuned);
  flags.check_use(command, {flags.model.path});
  if (is_raw) {
    refuse_given(command, {"--prompts"},
                 "where prompts go to the model as they are");
  }
  LineReader reader;
  std::optional<Assistant> assistant;
  if (!is_raw) {
    assistant = assistant_of(
        {flags.adapter, flags.form, flags.prompts, "", flags.model.path});
  }
  const recipe::ModelOptions model = flags.model_at(flags.model.path);
  local::LocalWorkbench workbench;
  const std::unique_ptr<generate::Generator> generator =
      workbench.open_generator(model, flags.adapter);
  const bool remote = generate::is_remote_model(model.path);
  Lines lines(reader, remote ? 0 : workbench.tokenizer(model.path)->size(),
              std::move(assistant), generator->fingerprint());
  reader.ask_for("a request a line, as JSON");
  generator->generate(
      [&lines] { return lines.next(); },
      [&lines](generate::Completion c) { lines.done(std::move(c)); });
  lines.finish();
  if (remote) {
    log_info(generate::usage_text(
        generate::usage_report(lines.usage(), model.price)));
  }
}

}  // namespace

void add_generate(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "generate", "Complete prompts: JSON lines in, JSON lines out");
  auto flags = std::make_shared<GenerateFlags>();
  flags->model.num_slots = 16;
  flags->add_all(*command);
  flags->add_api(*command);
  flags->add_price(*command);
  std::vector<std::string> forms = recipe::chat_forms();
  forms.insert(forms.end(), {"auto", "raw"});
  command
      ->add_option("--form", flags->form,
                   "take prompts as instructions, asked in this form of chat; "
                   "raw: as they are; auto: as its adapter was trained, and "
                   "raw for a base model")
      ->check(CLI::IsMember(forms))
      ->capture_default_str();
  command->add_option("--prompts", flags->prompts,
                      "folder with meta.yaml; else the run's own, or prompts/");
  command->footer(kFooter);
  command->callback([flags, &shell, command] {
    shell.resume_hint =
        "give the lines that have no result yet to the same command; rows "
        "with a key of their own come out the same";
    shell.action = [flags, command] { generate_lines(*flags, *command); };
  });
}

}  // namespace selfalign::cli
