// SPDX-License-Identifier: Apache-2.0
// What a row of a data set is, whatever its form.
#pragma once

#include <string>
#include <vector>

namespace selfalign::formats {

struct Turn {
  std::string role;  // "system", "user", "assistant"
  std::string text;
  bool learn = true;      // of an answer: false where it is only to be read
  std::string name = "";  // of a row's turn, for messages: "turn 2", "'output'"
};
struct Conversation {
  std::vector<Turn> turns;
};

// A row of a file; what cannot be used says why, and the others go on.
struct DatasetRow {
  std::string where;  // "PATH: line 3", "PATH: row 2" of an array
  Conversation conversation;
  // "" or
  //   unreadable   no JSON, no form that is known, a member missing or of
  //                another type
  //   unsupported  something that would change what is learnt and cannot be
  //                learnt here: pictures, calls of tools, thoughts, weights
  //                between 0 and 1, preferences; turns of others than system,
  //                user and assistant; two members that say different things
  //                of one
  std::string reason;
  std::string detail;  // for the person, names the member
};

}  // namespace selfalign::formats
