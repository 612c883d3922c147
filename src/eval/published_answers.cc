// SPDX-License-Identifier: Apache-2.0
#include "eval/published_answers.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_rows.h"
#include "base/log.h"
#include "base/row_faults.h"
#include "eval/items.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

[[noreturn]] void throw_row(const std::string& where,
                            const std::string& problem) {
  throw Error(ErrorKind::kInput,
              str(where, ": expected ", problem,
                  "; give an answer file as FastChat publishes them"));
}

// The turns of an answer, in either form.
std::vector<std::string> turns_of(const Json& row, const std::string& where) {
  const Json text = row.value("text", Json());
  if (text.is_string()) return {text.get<std::string>()};
  const Json choices = row.value("choices", Json());
  if (!choices.is_array() || choices.empty() || !choices[0].is_object()) {
    throw_row(where, "'choices' with turns, or 'text', found neither");
  }
  const Json turns = choices[0].value("turns", Json());
  std::vector<std::string> texts;
  if (turns.is_string()) texts.push_back(turns.get<std::string>());
  for (size_t i = 0; turns.is_array() && i < turns.size(); ++i) {
    if (!turns[i].is_string()) throw_row(where, "turns that are texts");
    texts.push_back(turns[i].get<std::string>());
  }
  if (texts.empty()) throw_row(where, "an answer of one turn or more");
  return texts;
}

Json item_of(const Conversation& asked, std::vector<std::string> answers) {
  Json item{{"id", asked.id}};
  if (!asked.group.empty()) item["group"] = asked.group;
  for (std::string& answer : answers) answer = text::trim(answer);
  if (asked.turns.size() == 1) {
    item["question"] = asked.turns[0];
    item["answer"] = answers[0];
  } else {
    item["turns"] = asked.turns;
    item["answers"] = answers;
  }
  return item;
}

// The answer to each turn that was asked; null where there is none.
const std::vector<std::string>* answer_to(const Conversation& asked,
                                          const PublishedAnswers& published) {
  const auto found = published.turns.find(asked.id);
  if (found == published.turns.end()) return nullptr;
  return found->second.size() < asked.turns.size() ? nullptr : &found->second;
}

}  // namespace

std::string question_id(const Json& row, const std::string& where) {
  const Json id = row.is_object() ? row.value("question_id", Json()) : Json();
  if (id.is_number_integer()) return dump_json(id);
  if (id.is_string() && !id.get<std::string>().empty()) {
    return id.get<std::string>();
  }
  throw Error(ErrorKind::kInput,
              where +
                  ": expected 'question_id', a whole number or a text, found "
                  "none; give the published file, or of your own questions "
                  "lines as {\"question_id\": 1, \"turns\": [\"...\"]}, which "
                  "selfalign import FILE --questions OUT makes of other forms");
}

PublishedAnswers read_published_answers(const std::string& path) {
  const std::string content = read_input(path);
  PublishedAnswers published{path, "", Hasher().add(content).digest(), {}};
  RowFaults faults(path);
  // Place and name of other models: a fault of the file, not of a row.
  std::vector<std::pair<std::string, std::string>> others;
  each_json_row(content, path, [&](const JsonRow& read) {
    faults.take_row([&] {
      const Json& row = read.get();
      const std::string& where = read.where;
      const std::string id = question_id(row, where);
      const std::string model = json_string_or(row, "model_id", where, "");
      if (!published.turns.emplace(id, turns_of(row, where)).second) {
        throw_row(where,
                  str("one answer to a question, found a second one to ", id));
      }
      if (published.model.empty()) published.model = model;
      if (model != published.model && !model.empty()) {
        others.emplace_back(where, model);
      }
    });
  });
  if (!others.empty()) {
    throw_row(others[0].first,
              str("answers of one model (", published.model,
                  "), found another one's (", others[0].second, ")"));
  }
  faults.finish();
  if (published.turns.empty()) throw_row(path, "answers, found none");
  return published;
}

bool has_answers(const PublishedAnswers& published,
                 const std::vector<Conversation>& conversations) {
  return std::any_of(conversations.begin(), conversations.end(),
                     [&](const Conversation& asked) {
                       return answer_to(asked, published) != nullptr;
                     });
}

MatchedAnswers match_answers(const PublishedAnswers& published,
                             const std::vector<Conversation>& conversations,
                             const std::vector<std::string>& all_ids,
                             ItemLog& log, const AnsweringOptions& options) {
  MatchedAnswers matched;
  for (const Conversation& asked : conversations) {
    const std::vector<std::string>* found = answer_to(asked, published);
    if (found == nullptr) {
      ++matched.num_missing;
      continue;
    }
    std::vector<std::string> answers = *found;
    answers.resize(asked.turns.size());
    std::string shown;
    for (const std::string& turn : asked.turns) shown += turn + "\x1f";
    for (const std::string& answer : answers) shown += answer + "\x1f";
    const uint64_t key = item_key(options.task, options.version, asked.id,
                                  shown, "answers " + published.digest);
    if (log.find(key) == nullptr) {
      Json item = item_of(asked, std::move(answers));
      if (options.finish) options.finish(asked, item);
      log.add(key, item);
    }
    matched.items.push_back(*log.find(key));
  }
  log.sync();
  const std::set<std::string> known(all_ids.begin(), all_ids.end());
  for (const auto& [id, turns] : published.turns) {
    if (!known.contains(id)) ++matched.num_unknown;
  }
  if (matched.num_missing + matched.num_unknown > 0) {
    log_warning(str(published.path, ": ", matched.num_missing, " of ",
                    conversations.size(),
                    " questions have no answer to each of their turns, ",
                    matched.num_unknown, " answers are to no question"));
  }
  return matched;
}

}  // namespace selfalign::eval
