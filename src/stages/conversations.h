// What there is to learn from in a conversation of a data set, as the baselines
// take it (Vicuna's many turns): every answer of the assistant to a turn of the
// user.
#pragma once

#include <string>
#include <vector>

#include "formats/datasets.h"

namespace selfalign::stages {

struct Exchange {
  std::string user;
  std::string answer;
};
struct Exchanges {
  std::string system;  // "" if the conversation has none
  std::vector<Exchange> turns;
  std::string
      problem;  // why it cannot be used, a short fixed word; "" if it can
  std::string detail;  // for the person
};
// An assistant's turn before the first of the user and a user's last turn
// without an answer are left out; the rest must be user and assistant in turn
// after at most one system turn (else "out_of_turn"), with text in all of them
// and at least one answer (else "no_answer").
Exchanges find_exchanges(const formats::Conversation& conversation);

}  // namespace selfalign::stages
