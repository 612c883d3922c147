// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_stream.h"

#include "base/error.h"
#include "generate/remote_reply.h"

namespace selfalign::generate {
namespace {

constexpr char kWhere[] = "a wrong answer";

bool is_stream(const std::string& body) {
  return body.starts_with("data:") || body.starts_with(":") ||
         body.starts_with("event:");
}

}  // namespace

std::string EventReader::take(std::string_view bytes) {
  std::string text;
  rest_ += bytes;
  size_t begin = 0;
  for (size_t end = num_scanned_;
       (end = rest_.find('\n', end)) != std::string::npos; begin = ++end) {
    std::string_view line(rest_.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with("data:")) continue;  // names of events, comments
    line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
    if (line == "[DONE]") {
      done_ = true;
    } else {
      take_event(line, text);
    }
  }
  rest_.erase(0, begin);
  num_scanned_ = rest_.size();
  text_ += text;
  return text;
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

std::string EventReader::answer() const {
  if (!any_choice_ || (!done_ && finish_.is_null())) {
    throw Error(ErrorKind::kFailed, "events without an answer's end");
  }
  return dump_json(
      Json{{"choices", {{{"text", text_}, {"finish_reason", finish_}}}},
           {"usage", usage_}});
}

std::string whole_answer(const std::string& body) {
  if (!is_stream(body)) return body;
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
    open_ = is_stream(body);
  }
  const std::string_view bytes = std::string_view(body).substr(num_read_);
  num_read_ = body.size();
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
