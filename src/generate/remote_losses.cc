// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_losses.h"

#include "base/log.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

constexpr int kMaxLost = 16;  // in a row

}  // namespace

void RemoteLosses::answered() {
  num_lost_ = 0;
  has_answered_ = true;
  suspicion_.reset();
}

void RemoteLosses::suspect(const Error& error) {
  if (!has_answered_ && !suspicion_) suspicion_ = error;
}

void RemoteLosses::lost(const std::string& url, Finish finish,
                        const std::string& problem) {
  const std::string found = str(url, ": expected an answer, found ", problem);
  if (++num_lost_ >= kMaxLost) {
    throw_suspicion();
    throw Error(ErrorKind::kFailed,
                str(found, ", and none to ", num_lost_,
                    " requests in a row; see what the server logs, and that "
                    "the address is that of an OpenAI-compatible server, "
                    "then run the same command again"));
  }
  if (suspicion_) return;
  log_warning(
      str(found, "; the row gets no answer there (", finish_name(finish), ")"));
}

void RemoteLosses::throw_suspicion() const {
  if (suspicion_) throw Error(*suspicion_);
}

Finish finish_of(HttpLoss loss) {
  switch (loss) {
    case HttpLoss::kTooLarge:
      return Finish::kTooLarge;
    case HttpLoss::kTimedOut:
      return Finish::kTimedOut;
    case HttpLoss::kBrokenOff:
      return Finish::kBrokenOff;
    case HttpLoss::kServerError:
      return Finish::kServerError;
    case HttpLoss::kRefused:
      return Finish::kRefused;
    case HttpLoss::kBadAnswer:
    case HttpLoss::kNone:
      break;
  }
  return Finish::kBadAnswer;
}

std::string shortened(std::string text) {
  constexpr size_t kMost = 500;
  if (text.size() <= kMost) return text;
  text.resize(kMost);
  text.resize(text::complete_utf8_prefix_length(text));
  return text + " ...";
}

}  // namespace selfalign::generate
