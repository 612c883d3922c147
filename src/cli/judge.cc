#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/model_flags.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "cli/workbench.h"
#include "eval/human.h"
#include "eval/items.h"
#include "eval/judging.h"
#include "eval/report.h"
#include "eval/results.h"
#include "text/wrap.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Answers that `evaluate` logged, before a judge:
  selfalign judge runs/smollm2-demo/evaluation --judge MODEL --data DATA
  selfalign judge OUT --judge http://localhost:8000/v1#NAME --pairs base,verbose
  selfalign judge OUT --judge human --pairs engraved,verbose

Of vicuna and mt_bench each pair of subjects is judged in both orders, a win
needs both to agree, and each answer gets a mark from 1 to 10; the answers of
truthfulqa_generation are judged for truth and information. Without --pairs each
subject is compared with the one before it. Texts without a verdict are counted
and shown; nothing is left out. Prompts: DATA's judge_prompts.jsonl (as
MT-bench publishes it) where it is there, else prompts/judge.yaml.
--judge human shows question and answers without names, in an order drawn by
--seed: 1 the first is better, 2 the second, t a tie, s skip, q quit.
Results go to OUT/results.json, judgements to OUT/judgements/JUDGE.jsonl; what is
there is not asked again.)";

constexpr char kKeys[] = "1 first  2 second  t tie  s skip  q quit\n";
constexpr char kTruthTask[] = "truthfulqa_generation";

struct JudgeFlags {
  std::string folder;
  std::string judge;
  std::string name;
  std::string data;
  std::string prompts;
  std::string layout = "auto";
  std::vector<std::string> tasks = {"vicuna", "mt_bench", kTruthTask};
  std::vector<std::string> kinds = {"pairs", "single", "truth"};
  std::vector<std::string> pairs;
  int max_new_tokens = 512;
  uint64_t seed = 0;
  ModelFlags model;

  bool does(const std::string& kind) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

// The name of the judge in results and files.
std::string name_of(const JudgeFlags& flags) {
  std::string name = flags.name;
  if (name.empty() && flags.judge == "human") {
    const char* user = std::getenv("USER");
    name = user != nullptr && *user != '\0' ? user : "person";
  }
  if (name.empty()) {
    const size_t mark = flags.judge.find_last_of("/#");
    name =
        mark == std::string::npos ? flags.judge : flags.judge.substr(mark + 1);
  }
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                       (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
    if (!plain) c = '_';
  }
  if (name.empty() || name[0] == '.') name = "judge" + name;
  return flags.judge == "human" ? "human." + name : name;
}

std::vector<std::pair<std::string, std::string>> pairs_of(
    const JudgeFlags& flags, const eval::Results& results) {
  std::vector<std::string> names;
  for (const eval::SubjectInfo& subject : results.subjects) {
    names.push_back(subject.name);
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& text : flags.pairs) {
    const size_t comma = text.find(',');
    const std::string a = text.substr(0, comma);
    const std::string b =
        comma == std::string::npos ? "" : text.substr(comma + 1);
    for (const std::string& name : {a, b}) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      std::string all;
      for (const std::string& one : names) all += " " + one;
      throw Error(ErrorKind::kUsage,
                  str("--pairs: expected A,B with names of subjects, found '",
                      text, "'; ", flags.folder, " has:", all));
    }
    pairs.emplace_back(a, b);
  }
  if (!flags.pairs.empty()) return pairs;
  for (size_t i = 1; i < names.size(); ++i) {
    pairs.emplace_back(names[i - 1], names[i]);
  }
  return pairs;
}

// Pairs of subjects that both answered some of the task's questions, under the
// same decoding.
// How a subject's answers to a task were decoded, out of their settings.
Json decoding_of(const eval::Results& results, const std::string& task,
                 const std::string& subject) {
  for (const eval::TaskResult& result : results.results) {
    if (result.task == task && result.subject == subject) {
      return eval::decoding_part(result.settings);
    }
  }
  return eval::decoding_part(Json());
}

struct DecodedContest {
  eval::Contest contest;
  Json decoding;  // for the settings of the comparison
};

std::vector<DecodedContest> contests_of(const JudgeFlags& flags,
                                        const eval::Results& results) {
  std::vector<DecodedContest> contests;
  for (const std::string& task : flags.tasks) {
    if (task == kTruthTask) continue;
    for (const std::string& decoding : eval::decodings_of(results, task)) {
      const eval::Results alike = eval::under_decoding(results, decoding);
      for (const auto& [a, b] : pairs_of(flags, alike)) {
        eval::Contest contest{
            task, a, b,
            eval::common_questions(
                eval::read_answers(flags.folder, alike, task, a),
                eval::read_answers(flags.folder, alike, task, b))};
        if (contest.pairs.empty()) continue;
        Json part = decoding_of(alike, task, a);
        if (part["decoding"] != "one") part = decoding_of(alike, task, b);
        if (part["decoding"] == "own") part.erase("sampling");
        contests.push_back({std::move(contest), std::move(part)});
      }
    }
  }
  return contests;
}

// A judge's adapter is asked under the prompt it was trained with.
eval::JudgeLayout form_layout(const std::string& adapter) {
  const std::string form = form_of_adapter(adapter);
  const stages::ChatPrompt chat =
      stages::read_chat_prompt(find_prompts("", adapter), form);
  constexpr char kPlace[] = "{instruction}";
  const size_t at = chat.user.find(kPlace);
  return {form, chat.prompt + chat.user.substr(0, at), "\n\n",
          chat.user.substr(at + sizeof kPlace - 1) + chat.answer, chat.stop};
}

eval::JudgeLayout layout_of(const JudgeFlags& flags,
                            const eval::JudgePrompts& prompts,
                            const generate::Generator& generator) {
  if (flags.layout != "auto") return prompts.layouts.at(flags.layout);
  if (!flags.model.adapter.empty()) return form_layout(flags.model.adapter);
  const bool knows_marks = generator.count_tokens("<|im_start|>") == 1;
  return prompts.layouts.at(knows_marks ? "chatml" : "plain");
}

std::string published_prompts(const std::string& data) {
  if (data.empty()) return "";
  try {
    return eval::find_data(data, "judge_prompts.jsonl");
  } catch (const Error& error) {
    log_info(str("prompts/judge.yaml is used: ", error.what()));
    return "";
  }
}

void show_comparison(const Json& comparison, const Shell& shell) {
  if (shell.json) {
    write_json(comparison);
    return;
  }
  const auto share = [&](const char* name) {
    return eval::percent(comparison[name].get<double>());
  };
  std::string text =
      str(comparison["task"].get<std::string>(), ": ",
          comparison["a"].get<std::string>(), " wins ", share("win_rate"), " (",
          share("low"), " to ", share("high"), ") against ",
          comparison["b"].get<std::string>(), ", at equal length ",
          share("win_rate_length_controlled"), "; of ", comparison["num_items"],
          " items ", comparison["wins_a"], " won, ", comparison["wins_b"],
          " lost, ", comparison["ties"], " tied (", comparison["flips"],
          " flips), ", comparison["failures"], " without a verdict\n");
  for (const Json& other : comparison["agreement"]) {
    text += str("  agrees with ", other["with"].get<std::string>(), " in ",
                eval::percent(other["raw"].get<double>()), " of ",
                other["num_items"], ", kappa ", other["kappa"], "\n");
  }
  write_out(text);
}

void keep(Json comparison, const Json& decoding, const JudgeFlags& flags,
          eval::ResultsWriter& writer, const Shell& shell) {
  comparison["settings"].update(decoding);
  eval::Results fresh;
  fresh.comparisons = eval::with_agreements(flags.folder, comparison,
                                            writer.results().comparisons);
  writer.merge(fresh);
  show_comparison(fresh.comparisons[0], shell);
}

void keep(const eval::TaskResult& result, eval::ResultsWriter& writer,
          const Shell& shell) {
  eval::Results fresh;
  fresh.results.push_back(result);
  writer.merge(fresh);
  if (shell.json) {
    write_json(eval::to_json(result));
    return;
  }
  for (const eval::Metric& metric : result.metrics) {
    write_out(str(result.task, ", ", result.subject, ", ", metric.name, ": ",
                  metric.value, " (", metric.low, " to ", metric.high, ")\n"));
  }
  write_out(str("  without a verdict: ", result.num_failures, "\n"));
}

void warn_of_namesake(const eval::Results& results,
                      const eval::JudgeOptions& judge) {
  const std::string fingerprint = judge.generator->fingerprint();
  for (const eval::TaskResult& result : results.results) {
    if (!result.task.ends_with(".judge." + judge.name) ||
        result.fingerprint == fingerprint) {
      continue;
    }
    log_warning(str(judge.name, ": marks by another model of this name (",
                    result.fingerprint,
                    ") are replaced; give --name to keep both"));
    return;
  }
}

// Marks, or truth, of every subject's answers to a task.
void mark_answers(eval::Judge& judge, const std::string& task,
                  const eval::Results& results, const JudgeFlags& flags,
                  eval::ResultsWriter& writer, const Shell& shell) {
  for (const eval::SubjectInfo& subject : results.subjects) {
    const auto answers =
        eval::read_answers(flags.folder, results, task, subject.name);
    if (answers.empty()) continue;
    eval::TaskResult result =
        task == kTruthTask
            ? eval::judge_truth(judge, task, subject.name, answers)
            : eval::judge_singles(judge, task, subject.name, answers,
                                  flags.seed);
    result.settings.update(decoding_of(results, task, subject.name));
    keep(result, writer, shell);
  }
}

void judge_by_model(const JudgeFlags& flags, eval::ResultsWriter& writer,
                    const Shell& shell) {
  stages::ModelOptions model = flags.model.model;
  model.path = flags.judge;
  LocalWorkbench workbench;
  const auto generator = workbench.open_generator(model, flags.model.adapter);
  eval::JudgeOptions options;
  options.name = name_of(flags);
  options.generator = generator.get();
  options.prompts = eval::load_judge_prompts(find_prompts(flags.prompts, ""),
                                             published_prompts(flags.data));
  options.layout = layout_of(flags, options.prompts, *generator);
  options.max_new_tokens = flags.max_new_tokens;
  eval::ItemLog log(flags.folder + "/judgements/" + options.name + ".jsonl");
  eval::Judge judge(options, &log);
  const eval::Results results = writer.results();
  warn_of_namesake(results, options);
  if (flags.does("pairs")) {
    for (const auto& [contest, decoding] : contests_of(flags, results)) {
      keep(eval::judge_pairs(judge, contest, flags.seed), decoding, flags,
           writer, shell);
    }
  }
  for (const std::string& task : flags.tasks) {
    if (!flags.does(task == kTruthTask ? "truth" : "single")) continue;
    for (const std::string& decoding : eval::decodings_of(results, task)) {
      mark_answers(judge, task, eval::under_decoding(results, decoding), flags,
                   writer, shell);
    }
  }
}

void show_item(const eval::HumanSession& session) {
  const eval::BlindItem item = session.item();
  const size_t width = terminal_width();
  std::string out =
      str("\n",
          styled(Style::kDim, str(session.position() + 1, "/", session.size())),
          "\n");
  const auto part = [&](const std::string& name, const std::string& text) {
    out += styled(Style::kBold, name) + "\n" +
           text::wrap_text(text, "  ", width) + "\n";
  };
  for (size_t i = 0; i < item.turns.size(); ++i) {
    part("question", item.turns[i]);
    part("answer 1", item.first[i]);
    part("answer 2", item.second[i]);
  }
  write_out(out + styled(Style::kDim, kKeys));
}

// False once the person has enough.
bool compare(eval::HumanSession& session, KeyReader& keys) {
  bool shown = false;
  while (!session.at_end()) {
    if (!shown) show_item(session);
    shown = true;
    const std::optional<char> key = keys.next();
    if (!key || *key == 'q') return false;
    if (*key == 's') {
      session.skip();
    } else if (*key == '1' || *key == '2' || *key == 't') {
      session.decide(*key == '1'   ? eval::Verdict::kFirst
                     : *key == '2' ? eval::Verdict::kSecond
                                   : eval::Verdict::kTie);
    } else {
      write_out(kKeys);
      continue;
    }
    shown = false;
  }
  return true;
}

void judge_by_person(const JudgeFlags& flags, eval::ResultsWriter& writer,
                     const Shell& shell) {
  if (flags.pairs.empty()) {
    throw Error(ErrorKind::kUsage,
                "--judge human: expected the two subjects to compare, found "
                "none; add --pairs A,B");
  }
  const std::string name = name_of(flags);
  eval::ItemLog log(flags.folder + "/judgements/" + name + ".jsonl");
  KeyReader keys;
  const std::vector<DecodedContest> contests =
      contests_of(flags, writer.results());
  for (const auto& [contest, decoding] : contests) {
    eval::HumanSession session(contest, name, flags.seed, log);
    const bool goes_on = compare(session, keys);
    if (!session.verdicts().empty()) {
      keep(session.comparison(flags.seed), decoding, flags, writer, shell);
    }
    if (!goes_on) return;
  }
}

[[noreturn]] void throw_no_subjects(const std::string& results) {
  throw Error(ErrorKind::kInput,
              results +
                  ": expected subjects with answers, found none; run "
                  "`selfalign evaluate` first");
}

void judge(const JudgeFlags& flags, const Shell& shell) {
  const std::string results = flags.folder + "/results.json";
  std::error_code ignored;
  if (!std::filesystem::exists(results, ignored)) throw_no_subjects(results);
  eval::ResultsWriter writer(flags.folder);
  if (writer.results().subjects.empty()) throw_no_subjects(results);
  if (flags.judge == "human") {
    judge_by_person(flags, writer, shell);
  } else {
    judge_by_model(flags, writer, shell);
  }
  eval::write_report(flags.folder);
}

void add_options(CLI::App& command, JudgeFlags& flags) {
  command.add_option("out", flags.folder, "folder of an evaluation")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      .add_option("--judge", flags.judge,
                  "HF folder, GGUF file, http://HOST:PORT/v1#NAME, or human")
      ->required();
  command.add_option("--judge-adapter", flags.model.adapter,
                     "PEFT adapter folder, merged into the judge");
  command.add_option("--name", flags.name,
                     "of the judge in results; else from --judge");
  command.add_option("--data", flags.data,
                     "folder that may hold judge_prompts.jsonl");
  command.add_option("--prompts", flags.prompts, "folder with judge.yaml");
  command
      .add_option(
          "--layout", flags.layout,
          "how the judge is asked: auto (the adapter's own form, chatml "
          "where the model knows its marks, else plain), plain, chatml")
      ->check(CLI::IsMember({"auto", "plain", "chatml"}))
      ->capture_default_str();
  command.add_option("--tasks", flags.tasks, "whose answers")
      ->delimiter(',')
      ->check(CLI::IsMember(flags.tasks))
      ->capture_default_str();
  command.add_option("--kinds", flags.kinds, "what is judged")
      ->delimiter(',')
      ->check(CLI::IsMember(flags.kinds))
      ->capture_default_str();
  command.add_option("--pairs", flags.pairs, "subjects A,B; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--max-tokens", flags.max_new_tokens, "of a judgement")
      ->check(in_range(ranges::kMaxNewTokens))
      ->capture_default_str();
  command.add_option("--seed", flags.seed, "of intervals and blind orders")
      ->capture_default_str();
}

}  // namespace

void add_judge(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "judge", "Compare and mark logged answers: by a model, or a person");
  auto flags = std::make_shared<JudgeFlags>();
  flags->model.model.num_slots = 32;
  add_options(*command, *flags);
  flags->model.add_compute(*command);
  flags->model.add_engine(*command);
  command->footer(kFooter);
  command->callback([flags, &shell] {
    shell.action = [flags, &shell] { judge(*flags, shell); };
  });
}

}  // namespace selfalign::cli
