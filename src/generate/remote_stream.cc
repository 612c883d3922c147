// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {
namespace {

constexpr char kWhere[] = "a wrong answer";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Whether a body begins as a stream does (WHATWG HTML, section 9.2.6); none: of
// too little of one.
std::optional<bool> is_stream(std::string_view body) {
  const auto begins_as = [&body](std::string_view other) {
    return body.substr(0, other.size()) == other.substr(0, body.size());
  };
  if (begins_as(kByteOrderMark)) {
    body.remove_prefix(std::min(body.size(), kByteOrderMark.size()));
  }
  body.remove_prefix(std::min(body.size(), body.find_first_not_of("\r\n")));
  if (body.empty()) return std::nullopt;
  for (const std::string_view field :
       {":", "data:", "event:", "id:", "retry:"}) {
    if (!begins_as(field)) continue;
    return body.size() >= field.size() ? std::optional(true) : std::nullopt;
  }
  return false;
}

}  // namespace

std::string EventReader::take(std::string_view bytes) {
  std::string text;
  rest_ += bytes;
  size_t begin = 0;
  for (size_t end = num_scanned_;
       (end = rest_.find_first_of("\r\n", end)) != std::string::npos;
       begin = ++end) {
    if (rest_[end] == '\r') {
      if (end + 1 == rest_.size()) break;  // a line feed may follow
      if (rest_[end + 1] == '\n') {
        take_line(std::string_view(rest_).substr(begin, end++ - begin), text);
        continue;
      }
    }
    take_line(std::string_view(rest_).substr(begin, end - begin), text);
  }
  rest_.erase(0, begin);
  num_scanned_ = rest_.ends_with('\r') ? rest_.size() - 1 : rest_.size();
  text_ += text;
  return text;
}

// Lines of data are one event until an empty one; but one that is whole is
// taken at once where a server leaves the empty line out.
void EventReader::take_line(std::string_view line, std::string& text) {
  if (!is_begun_ && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  is_begun_ = true;
  const bool is_data = line.starts_with("data:");
  if (!is_data && !line.empty()) return;  // names of events, comments
  line.remove_prefix(is_data ? line.starts_with("data: ") ? 6 : 5 : 0);
  const bool is_whole = line.empty() || line == "[DONE]" ||
                        (event_.ends_with('}') && line.starts_with('{'));
  if (is_whole && !event_.empty() && !done_) {
    take_event(std::exchange(event_, {}), text);
  }
  if (line == "[DONE]") {
    done_ = true;
  } else if (!done_ && is_data) {
    event_ += str(event_.empty() ? "" : "\n", line);
  }
}

void EventReader::take_event(std::string_view payload, std::string& text) {
  const Json event = parse_reply(payload);
  if (!event.is_object() || event.contains("error")) {
    throw Error(ErrorKind::kFailed, error_text(std::string(payload)));
  }
  const Json usage = event.value("usage", Json());
  if (usage.is_object()) usage_ = usage;
  const Json choices = event.value("choices", Json());
  if (!choices.is_array() || choices.empty()) return;
  if (!choices[0].is_object()) return;
  any_choice_ = true;
  text += choices[0].contains("delta")
              ? message_text(choices[0]["delta"])
              : json_string_or(choices[0], "text", kWhere, "");
  const Json finish = choices[0].value("finish_reason", Json());
  if (!finish.is_null()) finish_ = finish;
}

std::string EventReader::answer() {
  if (rest_.ends_with('\r')) take("\n");  // it ended a line
  // A whole event may lack the empty line; what broke off is none.
  if (event_.ends_with('}')) take_line("", text_);
  if (!any_choice_ || (!done_ && finish_.is_null())) {
    throw Error(ErrorKind::kFailed, "events without an answer's end");
  }
  return dump_json(
      Json{{"choices", {{{"text", text_}, {"finish_reason", finish_}}}},
           {"usage", usage_}});
}

std::string whole_answer(const std::string& body) {
  if (!is_stream(body).value_or(false)) return body;
  EventReader events;
  events.take(body);
  return events.answer();
}

StreamedText::StreamedText(const Request& request, const Secret& secret)
    : request_(&request), secret_(&secret) {}

void StreamedText::take(const std::string& body, int num_try) {
  if (!request_->on_text) return;
  if (num_try != num_try_) {
    num_try_ = num_try;
    num_read_ = 0;
    events_ = EventReader();
    text_ = CompletionText(request_->sampling.stop);
    certain_.clear();
    open_ = true;
  }
  const std::optional<bool> is_known = is_stream(body);
  if (!is_known) return;  // until there is more of it
  const std::string_view bytes = std::string_view(body).substr(num_read_);
  num_read_ = body.size();
  open_ = open_ && *is_known;
  if (!open_) return;
  try {
    open_ = !text_.append(events_.take(bytes));
  } catch (const Error&) {
    open_ = false;
    return;
  }
  certain_ += text_.take_certain();
  const std::string clean = secret_->cut_from(
      std::string_view(certain_).substr(0, secret_->num_settled(certain_)));
  if (clean.size() <= shown_.size() || !clean.starts_with(shown_)) return;
  const std::string piece = clean.substr(shown_.size());
  shown_ = clean;
  if (wanted_) wanted_ = request_->on_text(piece);
}

bool StreamedText::wanted() {
  if (request_->dropped && *request_->dropped) wanted_ = false;
  if (wanted_ && request_->on_text) wanted_ = request_->on_text("");
  return wanted_;
}

void StreamedText::finish(const std::string& text) {
  if (!request_->on_text) return;
  if (!text.starts_with(shown_)) {
    throw Error(ErrorKind::kFailed,
                "another text than the one that was shown when the answer "
                "broke off");
  }
  if (text.size() > shown_.size())
    request_->on_text(text.substr(shown_.size()));
  shown_ = text;
}

}  // namespace selfalign::generate
