// SPDX-License-Identifier: Apache-2.0
#include "recipe/question_form.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/joined.h"
#include "parse/thoughts.h"
#include "text/template.h"

namespace selfalign::recipe {
namespace {

using text::fill_template;

// Where the last of a line's places before the question ends in `form`.
size_t end_of_places(const std::string& form) {
  size_t end = 0;
  for (const std::string place : {"{number}", "{type}", "{topic}"}) {
    const size_t at = form.find(place);
    if (at != std::string::npos) end = std::max(end, at + place.size());
  }
  return end;
}

}  // namespace

QuestionForm::QuestionForm(const RedTeamPrompt& prompt,
                           std::vector<TypedQuestion> examples,
                           std::vector<TypedQuestion> hints)
    : prompt_(prompt),
      num_examples_(examples.size()),
      lines_(std::move(examples)) {
  SELFALIGN_CHECK(!hints.empty());
  lines_.insert(lines_.end(), hints.begin(), hints.end());
}

std::string QuestionForm::examples() const {
  std::vector<std::string> examples;
  for (size_t i = 0; i < num_examples_; ++i) {
    examples.push_back(fill_template(prompt_.example,
                                     {{"number", std::to_string(i + 1)},
                                      {"type", lines_[i].type},
                                      {"topic", lines_[i].topic},
                                      {"question", lines_[i].question}},
                                     "red_team.yaml: example"));
  }
  return joined(examples, "\n");
}

std::string QuestionForm::hint(size_t i, const std::string& form) const {
  return fill_template(form,
                       {{"number", std::to_string(i + 1)},
                        {"type", lines_[i].type},
                        {"topic", lines_[i].topic}},
                       "red_team.yaml: hint");
}

std::vector<std::string> QuestionForm::starts() const {
  const std::string form = prompt_.hint.substr(0, end_of_places(prompt_.hint));
  std::vector<std::string> starts;
  for (size_t i = 0; i < lines_.size(); ++i) starts.push_back(hint(i, form));
  return starts;
}

std::string QuestionForm::mark() const {
  const std::string before =
      prompt_.example.substr(0, prompt_.example.find("{question}"));
  const std::string mark = parse::trim(before.substr(end_of_places(before)));
  // As published without the comma: ", instruction:".
  const auto word = std::find_if(mark.begin(), mark.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || (c & 0x80) != 0;
  });
  return word == mark.end() ? mark : std::string(word, mark.end());
}

std::string QuestionForm::suffix() const {
  if (is_list()) {
    return fill_template(
        prompt_.list_prompt,
        {{"hints", joined(starts(), "\n")}, {"examples", examples()}},
        "red_team.yaml: list_prompt");
  }
  return fill_template(
      prompt_.question_prompt,
      {{"examples", examples()}, {"hints", hint(num_examples_, prompt_.hint)}},
      "red_team.yaml: question_prompt");
}

size_t QuestionForm::num_shared() const {
  const size_t at = suffix().rfind(hint(lines_.size() - 1, prompt_.hint));
  return at == std::string::npos ? 0 : at;
}

std::string QuestionForm::templates() const {
  return (is_list() ? prompt_.list_prompt : prompt_.question_prompt) +
         prompt_.example + prompt_.hint;
}

std::vector<std::string> QuestionForm::stop() const {
  if (!is_list()) return prompt_.question_stop;
  // The number after the last: "\n11.".
  const std::string number = "{number}";
  const std::string& form = prompt_.example;
  const size_t begin = form.find(number) + number.size();
  return {str("\n", lines_.size() + 1,
              parse::trim(form.substr(begin, form.find('{', begin) - begin)))};
}

std::vector<parse::ListedQuestion> QuestionForm::read(const std::string& text,
                                                      bool cut_off) const {
  if (!is_list()) {
    const TypedQuestion& line = lines_.back();
    return {{parse::trim(text.substr(0, text.find('\n'))), line.type,
             line.topic, cut_off}};
  }
  std::vector<parse::ListedQuestion> questions;
  for (const parse::ListedLine& listed :
       parse::parse_lines(text, starts(), mark(), cut_off)) {
    const TypedQuestion& line = lines_[listed.start];
    questions.push_back(
        {listed.text, line.type, line.topic, listed.cut_off, listed.has_mark});
  }
  return questions;
}

}  // namespace selfalign::recipe
