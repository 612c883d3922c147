// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/judge_model.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "cli/unused_options.h"
#include "eval/costs.h"
#include "eval/items.h"
#include "eval/questions.h"
#include "eval/relative_score.h"
#include "eval/result_items.h"
#include "eval/results.h"
#include "judge/human.h"
#include "judge/judging.h"
#include "report/report.h"
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
subject is compared with the one before it, or with --reference, and its marks
are given relative to the other's. A server that only chats is asked by
messages; --price 2.5,10 gives what a million tokens cost, in and out. Texts
without a verdict are counted and shown; nothing is left out. Prompts: DATA's
judge_prompts.jsonl (as MT-bench publishes it) where it is there, else
prompts/judge.yaml.
--judge human shows question and answers without names, in an order drawn by
--seed: 1 the first is better, 2 the second, t a tie, s skip, q quit.
Results go to OUT/results.json, judgements to OUT/judgements/JUDGE.jsonl; what is
there is not asked again.)";

constexpr char kKeys[] = "1 first  2 second  t tie  s skip  q quit\n";
constexpr char kTruthTask[] = "truthfulqa_generation";

struct Flags {
  std::string folder;
  std::string reference;
  JudgeFlags judge;
  std::vector<std::string> tasks;
  std::vector<std::string> kinds = {"pairs", "single", "truth"};
  std::vector<std::string> pairs;
  uint64_t seed = 0;

  bool does(const std::string& kind) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
};

bool has_subject(const eval::Results& results, const std::string& name) {
  return std::any_of(results.subjects.begin(), results.subjects.end(),
                     [&](const auto& one) { return one.name == name; });
}

[[noreturn]] void throw_subject(const std::string& flag,
                                const std::string& found,
                                const std::string& folder,
                                const eval::Results& results) {
  std::string all;
  for (const eval::SubjectInfo& one : results.subjects) all += " " + one.name;
  throw Error(ErrorKind::kUsage, str(flag, " with names of subjects, found '",
                                     found, "'; ", folder, " has:", all));
}

// Tasks whose answers can be judged, of those the flags name, or all.
std::vector<std::string> tasks_of(const Flags& flags,
                                  const eval::Results& results) {
  std::vector<std::string> known = {"vicuna", "mt_bench", kTruthTask};
  for (const eval::TaskResult& result : results.results) {
    if (eval::has_open_questions(result) &&
        std::find(known.begin(), known.end(), result.task) == known.end()) {
      known.push_back(result.task);
    }
  }
  for (const std::string& task : flags.tasks) {
    if (std::find(known.begin(), known.end(), task) != known.end()) continue;
    std::string all;
    for (const std::string& one : known) all += " " + one;
    throw Error(ErrorKind::kUsage,
                str("--tasks: expected tasks with answers, found '", task,
                    "'; there are:", all));
  }
  return flags.tasks.empty() ? known : flags.tasks;
}

std::vector<std::pair<std::string, std::string>> pairs_of(
    const Flags& flags, const eval::Results& results) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& text : flags.pairs) {
    const size_t comma = text.find(',');
    const std::string a = text.substr(0, comma);
    const std::string b =
        comma == std::string::npos ? "" : text.substr(comma + 1);
    if (!has_subject(results, a) || !has_subject(results, b)) {
      throw_subject("--pairs: expected A,B", text, flags.folder, results);
    }
    pairs.emplace_back(a, b);
  }
  if (!flags.pairs.empty()) return pairs;
  for (size_t i = 0; i < results.subjects.size(); ++i) {
    const std::string& name = results.subjects[i].name;
    if (!flags.reference.empty()) {
      if (name != flags.reference) pairs.emplace_back(name, flags.reference);
    } else if (i > 0) {
      pairs.emplace_back(results.subjects[i - 1].name, name);
    }
  }
  return pairs;
}

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

// The same of two subjects' answers that stand beside each other.
Json decoding_of_pair(const eval::Results& results, const std::string& task,
                      const std::string& a, const std::string& b) {
  Json part = decoding_of(results, task, a);
  if (part["decoding"] != "one") part = decoding_of(results, task, b);
  if (part["decoding"] == "own") part.erase("sampling");
  return part;
}

struct DecodedContest {
  judge::Contest contest;
  Json decoding;  // for the settings of the comparison
};

// "3 answers (temperature 0.7, ...)" of a subject to a task, by decoding; ""
// where it was not asked.
std::string answers_text(const eval::Results& results,
                         const std::string& folder, const std::string& task,
                         const std::string& subject) {
  std::string text;
  for (const eval::TaskResult& result : results.results) {
    if (result.task != task || result.subject != subject) continue;
    const std::string decoding = eval::decoding_text(result.settings);
    text += str(text.empty() ? "" : " and ",
                eval::read_items(folder, result).size(), " answers (",
                decoding.empty() ? "decoding not known" : decoding, ")");
  }
  return text;
}

// A pair that was asked for is compared, or it is said why it cannot be.
void require_pairs(const Flags& flags, const eval::Results& results,
                   const std::vector<DecodedContest>& contests) {
  if (flags.pairs.empty()) return;
  for (const auto& [a, b] : pairs_of(flags, results)) {
    bool any = false;
    for (const std::string& task : tasks_of(flags, results)) {
      const bool is_there = std::any_of(
          contests.begin(), contests.end(),
          [&task = task, &a = a, &b = b](const DecodedContest& one) {
            return one.contest.task == task && one.contest.a == a &&
                   one.contest.b == b;
          });
      any = any || is_there;
      if (is_there || task == kTruthTask) continue;
      const std::string of_a = answers_text(results, flags.folder, task, a);
      const std::string of_b = answers_text(results, flags.folder, task, b);
      if (of_a.empty() || of_b.empty()) continue;
      throw Error(ErrorKind::kInput,
                  str("--pairs ", a, ",", b,
                      ": expected answers to the same "
                      "questions of ",
                      task, " under one decoding, found ", of_a, " of ", a,
                      " and ", of_b, " of ", b,
                      "; evaluate both alike, or name other tasks with "
                      "--tasks"));
    }
    if (any) continue;
    throw Error(ErrorKind::kInput,
                str("--pairs ", a, ",", b,
                    ": there is no task of open questions that both have "
                    "answered; evaluate both, or name another pair"));
  }
}

// Pairs of subjects that both answered some of the task's questions, under the
// same decoding.
std::vector<DecodedContest> contests_of(const Flags& flags,
                                        const eval::Results& results) {
  std::vector<DecodedContest> contests;
  for (const std::string& task : tasks_of(flags, results)) {
    if (task == kTruthTask) continue;
    for (const std::string& decoding : eval::decodings_of(results, task)) {
      const eval::Results alike = eval::under_decoding(results, decoding);
      for (const auto& [a, b] : pairs_of(flags, alike)) {
        judge::Contest contest{
            task, a, b,
            judge::common_questions(
                judge::read_answers(flags.folder, alike, task, a),
                judge::read_answers(flags.folder, alike, task, b))};
        if (contest.pairs.empty()) continue;
        contests.push_back(
            {std::move(contest), decoding_of_pair(alike, task, a, b)});
      }
    }
  }
  require_pairs(flags, results, contests);
  return contests;
}

std::string verdict_words(const eval::PairFigures& pairs) {
  if (!pairs.counts.win_rate) return "no verdict";
  return str("wins ", eval::percent(*pairs.counts.win_rate), " (",
             eval::percent(*pairs.low), " to ", eval::percent(*pairs.high),
             "), at equal length ",
             eval::percent(*pairs.win_rate_length_controlled));
}

void show_comparison(const eval::Comparison& comparison, const Shell& shell) {
  if (shell.json) {
    write_json(to_json(comparison));
    return;
  }
  const eval::PairCounts& counts = comparison.pairs->counts;
  std::string text = str(
      comparison.task, ": ", comparison.a, " against ", comparison.b, ": ",
      verdict_words(*comparison.pairs), "; of ", counts.num_items, " items ",
      counts.wins_a, " won, ", counts.wins_b, " lost, ", counts.ties, " tied (",
      counts.flips, " flips), ", counts.failures, " without a verdict\n");
  for (const eval::JudgeAgreement& other : *comparison.agreement) {
    text += str("  agrees with ", other.with, " in ", eval::percent(other.raw),
                " of ", other.num_items, ", kappa ", Json(other.kappa), "\n");
  }
  write_out(text);
}

void keep(eval::Comparison comparison, const Json& decoding, const Flags& flags,
          eval::ResultsWriter& writer, const Shell& shell) {
  comparison.settings.update(decoding);
  eval::Results fresh;
  fresh.comparisons = judge::with_agreements(flags.folder, comparison,
                                             writer.results().comparisons);
  writer.merge(fresh);
  show_comparison(fresh.comparisons[0], shell);
  warn_of_failures(
      str(comparison.task, ", ", comparison.a, " against ", comparison.b),
      comparison.pairs->counts.failures, comparison.pairs->counts.num_items);
}

// `num_asked` judgements, the failures among them.
void keep(const eval::TaskResult& result, size_t num_asked,
          eval::ResultsWriter& writer, const Shell& shell) {
  eval::Results fresh;
  fresh.results.push_back(result);
  writer.merge(fresh);
  warn_of_failures(str(result.task, ", ", result.subject), result.num_failures,
                   int64_t(num_asked));
  if (shell.json) {
    write_json(to_json(result));
    return;
  }
  if (result.metrics.empty()) {
    write_out(str(result.task, ", ", result.subject, ": no verdict\n"));
  }
  for (const eval::Metric& metric : result.metrics) {
    write_out(str(result.task, ", ", result.subject, ", ", metric.name, ": ",
                  metric.value, " (", metric.low, " to ", metric.high, ")\n"));
  }
  write_out(str("  without a verdict: ", result.num_failures, "\n"));
}

void warn_of_namesake(const eval::Results& results,
                      const judge::JudgeOptions& judge) {
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
void mark_answers(judge::Judge& judge, const std::string& task,
                  const eval::Results& results, const Flags& flags,
                  eval::ResultsWriter& writer, const Shell& shell) {
  const bool truth = task == kTruthTask;
  for (const eval::SubjectInfo& subject : results.subjects) {
    const auto answers =
        judge::read_answers(flags.folder, results, task, subject.name);
    if (answers.empty()) continue;
    size_t num_asked = truth ? 2 * answers.size() : 0;
    for (const judge::JudgedAnswer& answer : answers) {
      if (!truth) num_asked += judge::num_judged_turns(answer);
    }
    eval::TaskResult result =
        truth ? judge::judge_truth(judge, task, subject.name, answers)
              : judge::judge_singles(judge, task, subject.name, answers,
                                     flags.seed);
    result.settings.update(decoding_of(results, task, subject.name));
    keep(result, num_asked, writer, shell);
  }
}

void show_relative_score(const eval::Comparison& comparison,
                         const Shell& shell) {
  if (shell.json) {
    write_json(to_json(comparison));
    return;
  }
  const eval::RelativeScore& score = *comparison.relative_score;
  write_out(str(comparison.task, ": ", comparison.a, " has ",
                eval::percent(score.sums.ratio), " (", eval::percent(score.low),
                " to ", eval::percent(score.high), ") of ", comparison.b,
                "'s marks, over ", score.sums.num_items, " answers\n"));
}

// Marks by the other's, of all pairs that have both.
void relate_marks(const Flags& flags, const std::string& judge,
                  eval::ResultsWriter& writer, const Shell& shell) {
  const eval::Results results = writer.results();
  eval::Results fresh;
  for (const std::string& task : tasks_of(flags, results)) {
    for (const std::string& decoding : eval::decodings_of(results, task)) {
      const eval::Results alike = eval::under_decoding(results, decoding);
      for (const auto& [a, b] : pairs_of(flags, alike)) {
        auto one = eval::with_relative_score(
            flags.folder, alike,
            {.task = task,
             .judge = judge,
             .a = a,
             .b = b,
             .settings = decoding_of_pair(alike, task, a, b)},
            flags.seed);
        if (!one) continue;
        show_relative_score(*one, shell);
        fresh.comparisons.push_back(*std::move(one));
      }
    }
  }
  writer.merge(fresh);
}

void judge_by_model(const Flags& flags, const Shell& shell) {
  OpenJudge open(flags.judge, flags.folder);
  eval::ResultsWriter writer(flags.folder);
  const eval::Results results = writer.results();
  warn_of_namesake(results, open.judge().options());
  if (flags.does("pairs")) {
    for (const auto& [contest, decoding] : contests_of(flags, results)) {
      keep(judge::judge_pairs(open.judge(), contest, flags.seed), decoding,
           flags, writer, shell);
    }
  }
  for (const std::string& task : tasks_of(flags, results)) {
    if (!flags.does(task == kTruthTask ? "truth" : "single")) continue;
    for (const std::string& decoding : eval::decodings_of(results, task)) {
      mark_answers(open.judge(), task, eval::under_decoding(results, decoding),
                   flags, writer, shell);
    }
  }
  relate_marks(flags, open.asked().name, writer, shell);
  if (!open.is_remote()) return;
  eval::Results fresh;
  fresh.usage = {eval::usage_of(flags.folder, writer.results(), open.asked())};
  writer.merge(fresh);
  if (!shell.json) write_out(eval::costs_text(writer.results().usage));
}

void show_item(const judge::HumanSession& session) {
  const judge::BlindItem item = session.item();
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
bool compare(judge::HumanSession& session, KeyReader& keys) {
  bool shown = false;
  while (!session.at_end()) {
    if (!shown) show_item(session);
    shown = true;
    const std::optional<char> key = keys.next();
    if (!key || *key == 'q') return false;
    if (*key == 's') {
      session.skip();
    } else if (*key == '1' || *key == '2' || *key == 't') {
      session.decide(*key == '1'   ? judge::Verdict::kFirst
                     : *key == '2' ? judge::Verdict::kSecond
                                   : judge::Verdict::kTie);
    } else {
      write_out(kKeys);
      continue;
    }
    shown = false;
  }
  return true;
}

void judge_by_person(const Flags& flags, const Shell& shell) {
  const std::string name = flags.judge.name();
  KeyReader keys;
  eval::ResultsWriter writer(flags.folder);
  eval::ItemLog log(flags.folder + "/judgements/" + name + ".jsonl");
  const std::vector<DecodedContest> contests =
      contests_of(flags, writer.results());
  for (const auto& [contest, decoding] : contests) {
    judge::HumanSession session(contest, name, flags.seed, log);
    const bool goes_on = compare(session, keys);
    if (!session.verdicts().empty()) {
      keep(session.comparison(flags.seed), decoding, flags, writer, shell);
    }
    if (!goes_on) return;
  }
}

[[noreturn]] void throw_no_subjects(const std::string& results) {
  throw Error(
      ErrorKind::kInput,
      results + ": no subject has answers there; run selfalign evaluate first");
}

// The judge of the run whose evaluation that is, where none is named.
void use_named_judge(Flags& flags, const CLI::App& command) {
  if (!flags.judge.judge.empty()) return;
  const std::string run = run_of_evaluation(flags.folder);
  if (!run.empty()) {
    const recipe::Recipe recipe = recipe_of_run(run);
    if (recipe.models.judge != recipe.models.usual) {
      return flags.judge.use(recipe.model_for(recipe::Role::kJudge), command);
    }
  }
  throw Error(ErrorKind::kUsage,
              "judge: expected --judge MODEL, or a judge under models.judge in "
              "the recipe of the evaluation's run, found neither");
}

// Options that would have no effect, and names that nobody has.
void check_flags(const Flags& flags, const CLI::App& command,
                 const eval::Results& results) {
  if (flags.judge.judge == "human") {
    constexpr char kWhen[] = "with --judge human, who compares pairs";
    refuse_given(command, {"--kinds", "--data"}, kWhen);
    refuse_given(command, JudgeFlags::of_models(), kWhen);
    if (flags.pairs.empty()) {
      throw Error(ErrorKind::kUsage,
                  "--judge human: expected the two subjects to compare, found "
                  "none; add --pairs A,B");
    }
  } else {
    flags.judge.model.check_use(command, {flags.judge.judge});
  }
  if (!flags.pairs.empty()) {
    refuse_given(command, {"--reference"}, "with --pairs");
  }
  if (!flags.reference.empty() && !has_subject(results, flags.reference)) {
    throw_subject("--reference: expected one", flags.reference, flags.folder,
                  results);
  }
  flags.judge.name();
}

void judge(Flags flags, const CLI::App& command, const Shell& shell) {
  use_named_judge(flags, command);
  const std::string path = flags.folder + "/results.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) throw_no_subjects(path);
  const eval::Results results = eval::read_results(flags.folder);
  if (results.subjects.empty()) throw_no_subjects(path);
  check_flags(flags, command, results);
  // Its errors come before a model is opened and anything is made.
  if (flags.does("pairs") || !flags.pairs.empty()) contests_of(flags, results);
  if (flags.judge.judge == "human") {
    judge_by_person(flags, shell);
  } else {
    judge_by_model(flags, shell);
  }
  report::update_report(flags.folder);
}

void add_options(CLI::App& command, Flags& flags) {
  command.add_option("out", flags.folder, "folder of an evaluation")
      ->required()
      ->check(CLI::ExistingDirectory);
  command.add_option(
      "--judge", flags.judge.judge,
      "HF folder, GGUF file, http://HOST:PORT/v1#NAME, or human; "
      "else what the run's recipe names under models.judge");
  command.add_option("--data", flags.judge.data,
                     "folder that may hold judge_prompts.jsonl");
  command
      .add_option("--tasks", flags.tasks,
                  "whose answers; else all: vicuna, mt_bench, "
                  "truthfulqa_generation and those of --questions")
      ->delimiter(',');
  command.add_option("--kinds", flags.kinds, "what is judged")
      ->delimiter(',')
      ->check(CLI::IsMember(flags.kinds))
      ->capture_default_str();
  command.add_option("--pairs", flags.pairs, "subjects A,B; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--reference", flags.reference,
                     "without --pairs: the subject that all others are "
                     "compared with, as the paper's figures do with ChatGPT");
  command.add_option("--seed", flags.seed, "of intervals and blind orders")
      ->capture_default_str();
}

}  // namespace

void add_judge(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "judge", "Compare and mark logged answers: by a model, or a person");
  auto flags = std::make_shared<Flags>();
  add_options(*command, *flags);
  flags->judge.add(*command);
  command->footer(kFooter);
  set_action(*command, shell,
             [flags, &shell, command] { judge(*flags, *command, shell); });
}

}  // namespace selfalign::cli
