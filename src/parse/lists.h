// SPDX-License-Identifier: Apache-2.0
// Reading what the base model wrote when it went on with a list: tasks of
// Self-Instruct, topics of red-teaming. The forms are described in
// prompts/self_instruct.yaml and prompts/red_team.yaml.
#pragma once

#include <string>
#include <vector>

namespace selfalign::parse {

// How an item of the list of tasks looks: "7. Task: Sum up.\nText: None".
struct TaskForm {
  std::string task_mark;   // after the number: ". Task:"
  std::string input_mark;  // starts the input's line: "Text:"
  std::string no_input;    // stands for no input: "None"
};
// Out of the template of an item, which has {number}, {instruction} and
// {input} in that order.
TaskForm task_form(const std::string& item, const std::string& no_input);

struct ListedTask {
  std::string task;      // one line
  std::string input;     // "" if it needs none
  bool cut_off = false;  // not whole: the completion ended in it by length
  bool has_input_line = false;  // a line with the input's mark
  bool is_last = false;         // of its completion
};
// `text` starts inside item `first`, after its mark. The task is the first
// line of an item; the input goes from the line with its mark to the next such
// line or the item's end, and is none if its first line says so; lines between
// task and input are dropped. Items after a number out of order are not read.
// With `cut_off` the last item is not whole.
std::vector<ListedTask> parse_tasks(const std::string& text, int first,
                                    bool cut_off, const TaskForm& form);

// The instruction as the later stages see it: the task, and after a blank
// line the input if there is one.
std::string join_instruction(const std::string& task, const std::string& input);

struct ListedItem {
  std::string text;      // trimmed; may be empty
  bool cut_off = false;  // not whole: the completion ended in it by length
};
// Lines "first+1. text", ... after the text of item `first`, which `text`
// starts with. With `cut_off` the last one is not whole.
std::vector<ListedItem> parse_list(const std::string& text, int first,
                                   bool cut_off);

struct ListedLine {
  size_t start = 0;      // which of `starts` it begins with
  std::string text;      // trimmed; may be empty
  bool has_mark = true;  // without one `text` is the whole line
  bool cut_off = false;  // not whole: the completion ended in it by length
};
// The lines that begin with one of `starts`, in their order; of each what
// follows its last `mark` ("": what follows the start). Other lines are none of
// the list. With `cut_off` the last line of all, not counting empty ones, is
// not whole.
std::vector<ListedLine> parse_lines(const std::string& text,
                                    const std::vector<std::string>& starts,
                                    const std::string& mark, bool cut_off);

// A topic and a question as the model listed them, with what they are of.
struct ListedTopic {
  std::string text;
  std::string type;
  bool cut_off = false;
};
struct ListedQuestion {
  std::string text;
  std::string type;
  std::string topic;
  bool cut_off = false;
  bool in_form = true;  // else the text is a line without a question's mark
};
// Without the period that a list item may end in.
std::string plain_topic(std::string topic);

}  // namespace selfalign::parse
