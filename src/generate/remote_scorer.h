// SPDX-License-Identifier: Apache-2.0
// Log-probabilities from a server of text completions: it is asked to echo the
// prompt, context and continuation, with those of its tokens.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "generate/http.h"
#include "generate/remote_losses.h"
#include "generate/remote_server.h"

namespace selfalign::generate {

class RemoteScorer {
 public:
  // The server outlives this.
  RemoteScorer(const RemoteServer& server, const HttpOptions& options);

  // As Generator::score.
  std::vector<Scores> score(const std::vector<ScoreRequest>& requests);

 private:
  std::string body_of(const ScoreRequest& request, size_t j) const;
  bool may_want_a_token(const HttpRequest& http, const HttpReply& reply) const;
  std::optional<HttpClient::Again> scored(HttpRequest& http,
                                          const HttpReply& reply,
                                          const ScoreRequest& request, size_t j,
                                          ContinuationScore& out);
  Error cannot_score(const std::string& found) const;

  const RemoteServer& server_;
  const HttpOptions options_;
  HttpClient client_;
  int echo_tokens_ = 0;  // asked for with an echo; 1 where 0 is refused
  RemoteLosses unscored_;
};

}  // namespace selfalign::generate
