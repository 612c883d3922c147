// SPDX-License-Identifier: Apache-2.0
// Requests of the HTTP API: the first byte says which endpoint, the rest is the
// body. An ApiError is the right answer to a bad one; a good one must also go
// through planning for a model.
#include "fuzz.h"
#include "serve/api_error.h"
#include "serve/api_request.h"
#include "serve/call.h"
#include "serve/testing.h"

namespace {

using namespace selfalign::serve;

const Model& model() {
  static const Model made{
      .id = "m",
      .parent = "",
      .tokenizer = std::make_shared<ByteTokenizer>(),
      .max_context = 100,
      .form = ChatForm(selfalign::recipe::ChatPrompt{
          "About.\n\n", "U: {instruction}\n", "A: ", "\n", {}}),
      .worker = nullptr};
  return made;
}

void check(const Plan& plan) {
  SELFALIGN_CHECK(plan.num_choices() >= 1 && plan.num_choices() <= 256);
  for (size_t i = 0; i < plan.prompts.size(); ++i) {
    const int tokens = plan.prompts[i].num_tokens;
    SELFALIGN_CHECK(plan.max_tokens(i) >= 0);
    SELFALIGN_CHECK(tokens + plan.max_tokens(i) <= plan.max_context);
    selfalign::generate::Request request = plan.prompts[i].request;
    request.sampling = plan.ask.sampling;
    request.num_top_logprobs = std::max(0, plan.ask.num_top_logprobs);
    selfalign::generate::check_request(request, model().tokenizer->size());
  }
}

}  // namespace

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string_view body = bytes.substr(1);
  try {
    switch (bytes[0] % 4) {
      case 0:
        return check(plan_completion(parse_completion(body, {}), model()));
      case 1:
        return check(plan_chat(parse_chat(body, {}), model()));
      case 2:
        parse_tokenize(body, {});
        return;
      default:
        parse_detokenize(body);
    }
  } catch (const ApiError& error) {
    SELFALIGN_CHECK(error.status() >= 400 && error.status() < 500);
    selfalign::parse_json(selfalign::dump_json(error_json(error)), "error");
  }
}
