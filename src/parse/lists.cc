// SPDX-License-Identifier: Apache-2.0
#include "parse/lists.h"

#include <algorithm>
#include <cctype>

#include "parse/thoughts.h"

namespace selfalign::parse {
namespace {

bool starts_item(const std::string& text, size_t at, const std::string& mark) {
  size_t digits = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    ++at;
    ++digits;
  }
  return digits > 0 && digits <= 3 && text.compare(at, mark.size(), mark) == 0;
}

// The end of an item: the first later line that starts any item, whatever its
// number.
size_t item_end(const std::string& text, size_t from, const std::string& mark) {
  for (size_t at = text.find('\n', from); at != std::string::npos;
       at = text.find('\n', at + 1)) {
    if (starts_item(text, at + 1, mark)) return at;
  }
  return text.size();
}

bool means_none(const std::string& input, const std::string& no_input) {
  std::string plain;
  for (const char c : input) {
    plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  while (!plain.empty() && plain.back() == '.') plain.pop_back();
  std::string none;
  for (const char c : no_input) {
    none += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain.empty() || plain == none || plain == "n/a" || plain == "-";
}

ListedTask parse_task(const std::string& item, const TaskForm& form) {
  ListedTask task;
  task.task = trim(item.substr(0, item.find('\n')));
  const size_t at = item.find("\n" + form.input_mark);
  if (at == std::string::npos) return task;
  task.has_input_line = true;
  const size_t begin = at + 1 + form.input_mark.size();
  const size_t again = item.find("\n" + form.input_mark, begin);
  task.input = trim(item.substr(begin, again - begin));
  const std::string line = trim(task.input.substr(0, task.input.find('\n')));
  if (means_none(line, form.no_input)) task.input.clear();
  return task;
}

}  // namespace

TaskForm task_form(const std::string& item, const std::string& no_input) {
  const auto between = [&item](const std::string& from, const std::string& to) {
    const size_t begin = item.find(from);
    const size_t end = item.find(to);
    if (begin == std::string::npos || end == std::string::npos) return item;
    const size_t after = begin + from.size();
    return trim(item.substr(after, end > after ? end - after : 0));
  };
  return {between("{number}", "{instruction}"),
          between("{instruction}", "{input}"), no_input};
}

std::vector<ListedTask> parse_tasks(const std::string& text, int first,
                                    bool cut_off, const TaskForm& form) {
  std::vector<ListedTask> tasks;
  size_t begin = 0;
  for (int number = first;; ++number) {
    const size_t end = item_end(text, begin, form.task_mark);
    const bool last = end == text.size();
    tasks.push_back(parse_task(text.substr(begin, end - begin), form));
    tasks.back().cut_off = last && cut_off;
    const std::string mark = std::to_string(number + 1) + form.task_mark;
    if (last || text.compare(end + 1, mark.size(), mark) != 0) {
      tasks.back().is_last = true;
      return tasks;
    }
    begin = end + 1 + mark.size();
  }
}

std::string join_instruction(const std::string& task,
                             const std::string& input) {
  return input.empty() ? task : task + "\n\n" + input;
}

std::vector<ListedItem> parse_list(const std::string& text, int first,
                                   bool cut_off) {
  std::vector<ListedItem> items;
  size_t begin = 0;
  for (int number = first;; ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const bool last = end == text.size();
    items.push_back({trim(text.substr(begin, end - begin)), last && cut_off});
    const std::string mark = std::to_string(number + 1) + ".";
    if (last || text.compare(end + 1, mark.size(), mark) != 0) return items;
    begin = end + 1 + mark.size();
  }
}

std::vector<ListedLine> parse_lines(const std::string& text,
                                    const std::vector<std::string>& starts,
                                    const std::string& mark, bool cut_off) {
  std::vector<ListedLine> lines;
  const std::string whole = trim(text);
  for (size_t begin = 0; begin <= whole.size();) {
    const size_t end = std::min(whole.find('\n', begin), whole.size());
    const std::string line = trim(whole.substr(begin, end - begin));
    begin = end + 1;
    const auto start = std::find_if(
        starts.begin(), starts.end(),
        [&line](const std::string& s) { return line.starts_with(s); });
    if (start == starts.end()) continue;
    const size_t at = mark.empty() ? start->size() : line.rfind(mark);
    const bool has_mark = at != std::string::npos && at >= start->size();
    lines.push_back({size_t(start - starts.begin()),
                     has_mark ? trim(line.substr(at + mark.size())) : line,
                     has_mark, cut_off && end == whole.size()});
  }
  return lines;
}

std::string plain_topic(std::string topic) {
  if (!topic.empty() && topic.back() == '.') topic.pop_back();
  return topic;
}

}  // namespace selfalign::parse
