// Reading what the base model wrote when it went on with a list: tasks of
// Self-Instruct, topics of red-teaming. The forms are described in
// prompts/self_instruct.yaml and prompts/red_team.yaml.
#pragma once

#include <string>
#include <vector>

namespace selfalign::stages {

struct ListedTask {
  std::string task;
  std::string input;      // "" if it needs none
  std::string malformed;  // why it is no whole item; "" if it is
};
// `text` starts inside item `first`. With `cut_off` (the completion ended by
// length) the last item is not whole. Items after a number out of order are
// not read.
std::vector<ListedTask> parse_tasks(const std::string& text, int first,
                                    bool cut_off, const std::string& no_input);

// The instruction as the later stages see it: the task, and after a blank
// line the input if there is one.
std::string join_instruction(const std::string& task, const std::string& input);

// Lines "first+1. text", ... after the text of item `first`, which `text`
// starts with. With `cut_off` the last one is dropped. Trimmed, final period
// taken off, empty ones included.
std::vector<std::string> parse_list(const std::string& text, int first,
                                    bool cut_off);

}  // namespace selfalign::stages
