// SPDX-License-Identifier: Apache-2.0
// What a model server answers: the first byte says to what, the rest is the
// body. As a stream it is read in pieces, too.
#include "generate/remote_reply.h"

#include "fuzz.h"
#include "generate/remote_stream.h"

namespace generate = selfalign::generate;

namespace {

void read_stream(std::string_view body) {
  generate::EventReader events;
  for (; !body.empty(); body.remove_prefix(std::min<size_t>(7, body.size()))) {
    events.take(body.substr(0, 7));
  }
  events.answer();
}

}  // namespace

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string body(bytes.substr(1));
  generate::Request request;
  request.sampling.stop = {"\n"};
  generate::error_text(body);
  generate::is_too_long(400, body);
  generate::is_filtered(400, body);
  generate::is_spent(429, body);
  generate::lacks_api(404, body);
  switch (static_cast<unsigned char>(bytes[0]) % 5) {
    case 0:
      generate::completion_of(generate::whole_answer(body), request);
      return;
    case 1:
      return read_stream(body);
    case 2:
      generate::score_of(body, "ab", "cd");
      return;
    case 3:
      generate::score_of(body, 1, {1, 2});
      return;
    default:
      SELFALIGN_CHECK(generate::models_of(body).size() <= 1000);
  }
}
