// SPDX-License-Identifier: Apache-2.0
#include "judge/judged_answers.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "eval/result_items.h"

namespace selfalign::judge {
namespace {

// A text, or a list of texts, under either name; none where both are missing.
std::vector<std::string> texts(const Json& item, const char* one,
                               const char* many, const std::string& where) {
  const auto found = item.contains(many) ? item.find(many) : item.find(one);
  std::vector<std::string> out;
  if (found == item.end()) return out;
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& text : list) {
    if (!text.is_string()) {
      throw Error(ErrorKind::kInput,
                  str(where, ": ", many,
                      ": expected texts, found another "
                      "value; evaluate again into an empty folder"));
    }
    out.push_back(text.get<std::string>());
  }
  return out;
}

JudgedAnswer read_answer(const Json& item, const std::string& where) {
  JudgedAnswer answer;
  answer.id = json_string(item, "id", where);
  answer.category = json_string_or(item, "group", where, "");
  answer.turns = texts(item, "question", "turns", where);
  answer.answers = texts(item, "answer", "answers", where);
  answer.reference = texts(item, "reference", "reference", where);
  answer.correct = texts(item, "correct", "correct", where);
  answer.incorrect = texts(item, "incorrect", "incorrect", where);
  if (answer.turns.empty() || answer.turns.size() != answer.answers.size()) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected an answer to every turn, found ",
                    answer.answers.size(), " to ", answer.turns.size(),
                    "; evaluate again into an empty folder"));
  }
  return answer;
}

bool shows_reference(const JudgedAnswer& answer, size_t turn) {
  const std::string& category = answer.category;
  if (category != "math" && category != "reasoning" && category != "coding") {
    return false;
  }
  if (answer.reference.size() <= turn) return false;
  return std::none_of(answer.reference.begin(),
                      answer.reference.begin() + long(turn) + 1,
                      [](const std::string& text) { return text.empty(); });
}

// Role, question and references of a turn.
Inquiry begin_inquiry(const std::string& kind, const JudgedAnswer& answer,
                      size_t turn) {
  const bool reference = shows_reference(answer, turn);
  Inquiry inquiry;
  inquiry.role =
      kind + (turn > 0 ? "_turns" : "") + (reference ? "_reference" : "");
  if (turn == 0) {
    inquiry.values["question"] = answer.turns[0];
  } else {
    inquiry.values["question_1"] = answer.turns[0];
    inquiry.values["question_2"] = answer.turns[1];
  }
  for (size_t i = 0; reference && i <= turn; ++i) {
    inquiry.values[str("ref_answer_", i + 1)] = answer.reference[i];
  }
  inquiry.about = Json{{"id", answer.id}};
  if (!answer.category.empty()) inquiry.about["group"] = answer.category;
  inquiry.about["kind"] = kind;
  inquiry.about["turn"] = turn + 1;
  return inquiry;
}

void add_answer(const std::string& name, const JudgedAnswer& answer,
                size_t turn, Inquiry& inquiry) {
  if (turn == 0) {
    inquiry.values[name] = answer.answers[0];
    return;
  }
  inquiry.values[name + "_1"] = answer.answers[0];
  inquiry.values[name + "_2"] = answer.answers[1];
}

}  // namespace

std::vector<JudgedAnswer> read_answers(const std::string& folder,
                                       const eval::Results& results,
                                       const std::string& task,
                                       const std::string& subject) {
  std::vector<JudgedAnswer> answers;
  for (const eval::TaskResult& result : results.results) {
    if (result.task != task || result.subject != subject) continue;
    for (const Json& item : eval::read_items(folder, result)) {
      answers.push_back(read_answer(item, folder + "/" + result.items));
    }
  }
  return answers;
}

std::string answers_digest(const JudgedAnswer& answer, size_t turn) {
  Hasher hasher;
  for (size_t i = 0; i <= turn; ++i) hasher.add(answer.answers.at(i));
  return hasher.digest();
}

std::vector<AnswerPair> common_questions(const std::vector<JudgedAnswer>& a,
                                         const std::vector<JudgedAnswer>& b) {
  std::unordered_map<std::string, const JudgedAnswer*> other;
  for (const JudgedAnswer& answer : b) other[answer.id] = &answer;
  std::vector<AnswerPair> pairs;
  for (const JudgedAnswer& answer : a) {
    const auto found = other.find(answer.id);
    if (found == other.end() || found->second->turns != answer.turns) continue;
    pairs.push_back({answer, *found->second});
  }
  // An order of their own: an interrupted evaluation logs in another one.
  std::sort(pairs.begin(), pairs.end(),
            [](const AnswerPair& x, const AnswerPair& y) {
              return std::pair(x.a.id.size(), x.a.id) <
                     std::pair(y.a.id.size(), y.a.id);
            });
  return pairs;
}

size_t num_judged_turns(const JudgedAnswer& answer) {
  return std::min<size_t>(answer.turns.size(), 2);
}

Inquiry pair_inquiry(const JudgedAnswer& first, const JudgedAnswer& second,
                     size_t turn) {
  Inquiry inquiry = begin_inquiry("pair", first, turn);
  add_answer("answer_a", first, turn, inquiry);
  add_answer("answer_b", second, turn, inquiry);
  return inquiry;
}

Inquiry single_inquiry(const JudgedAnswer& answer, size_t turn) {
  Inquiry inquiry = begin_inquiry("single", answer, turn);
  add_answer("answer", answer, turn, inquiry);
  return inquiry;
}

}  // namespace selfalign::judge
