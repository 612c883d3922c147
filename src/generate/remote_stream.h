// SPDX-License-Identifier: Apache-2.0
// An answer of /completions or /chat/completions that comes as server-sent
// events: its text is handed on while it is made.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "generate/completion_text.h"
#include "generate/generator.h"
#include "generate/http.h"
#include "generate/secret.h"

namespace selfalign::generate {

// The events of an answer (WHATWG HTML, section 9.2), as they come.
class EventReader {
 public:
  // What these bytes add to the text. Errors as of
  // remote_reply.h.
  std::string take(std::string_view bytes);
  // All that came as one answer, as if it had not been streamed. Error kFailed
  // where the events broke off. Nothing is taken after that.
  std::string answer();

 private:
  void take_line(std::string_view line, std::string& text);
  void take_event(std::string_view payload, std::string& text);

  bool is_begun_ = false;
  std::string event_;       // its data so far
  std::string rest_;        // of a line
  size_t num_scanned_ = 0;  // of its bytes: no line break in them
  std::string text_;
  Json finish_;
  Json usage_;
  bool any_choice_ = false;
  bool done_ = false;  // the last event came
};

// A body of either API, streamed or not, as one answer. Errors as above.
std::string whole_answer(const std::string& body);

// What a request's on_text was given, over as many tries as there are.
class StreamedText final : public HttpWatcher {
 public:
  // The key is cut out of the text (secret.h).
  explicit StreamedText(const Request& request, const Secret& secret);

  // The body so far of try `num_try`. What is wrong with it shows at its end.
  void take(const std::string& body, int num_try) override;
  // Asks whether to go on.
  bool wanted() override;
  bool is_cancelled() const { return !wanted_; }
  // Hands on the rest of the whole text. Error kFailed if it does not
  // begin with what was handed on before.
  void finish(const std::string& text);
  const std::string& shown() const { return shown_; }

 private:
  const Request* request_;  // outlives this
  const Secret* secret_;    // the same
  int num_try_ = 0;
  size_t num_read_ = 0;  // bytes of the body
  bool open_ = true;     // this try's events make sense so far
  EventReader events_;
  CompletionText text_;
  std::string certain_;  // of this try
  std::string shown_;
  bool wanted_ = true;
};

}  // namespace selfalign::generate
