// SPDX-License-Identifier: Apache-2.0
// Rows of a server that get no answer: each is that row's outcome once another
// row was answered; before, it may be the address that is wrong, or the key.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "generate/generator.h"
#include "generate/http.h"

namespace selfalign::generate {

class RemoteLosses {
 public:
  void answered();
  bool has_answered() const { return has_answered_; }
  // What may be wrong for all rows: the first counts, until one is answered.
  void suspect(const Error& error);
  // A row is given up. Throws what is suspected, else an Error kFailed, once 16
  // rows in a row were.
  void lost(const std::string& url, Finish finish, const std::string& problem);
  void throw_suspicion() const;

 private:
  int num_lost_ = 0;  // since the last answer
  bool has_answered_ = false;
  std::optional<Error> suspicion_;
};

// How a row ends whose request was lost.
Finish finish_of(HttpLoss loss);

// What a server sent, short enough to stand in the words about it.
std::string shortened(std::string text);

}  // namespace selfalign::generate
