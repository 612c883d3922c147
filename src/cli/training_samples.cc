#include "cli/training_samples.h"

#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace selfalign::cli {
namespace {

[[noreturn]] void throw_row(const std::string& where, size_t row,
                            const std::string& found) {
  throw Error(ErrorKind::kInput,
              str(where, ": row ", row + 1,
                  ": expected user and assistant in turn, the assistant "
                  "last, found ",
                  found, "; correct or remove the row"));
}

}  // namespace

std::vector<stages::TrainingSample> training_samples(
    const std::vector<formats::Conversation>& conversations,
    const stages::ChatPrompt& chat, const std::string& where) {
  std::vector<stages::TrainingSample> samples;
  for (size_t row = 0; row < conversations.size(); ++row) {
    const std::vector<formats::Turn>& turns = conversations[row].turns;
    stages::ChatPrompt own = chat;
    size_t i = 0;
    if (!turns.empty() && turns[0].role == "system") {
      own.prompt = turns[0].text + "\n\n";
      i = 1;
    }
    if (i == turns.size()) throw_row(where, row, "no turns");
    std::vector<ChatTurn> past;
    for (; i < turns.size(); i += 2) {
      if (turns[i].role != "user") {
        throw_row(where, row, "a turn of '" + turns[i].role + "'");
      }
      if (i + 1 == turns.size() || turns[i + 1].role != "assistant") {
        throw_row(where, row, "a user's turn without an answer");
      }
      stages::TrainingSample sample;
      sample.prompt = render_chat(own, past, 0, turns[i].text);
      sample.response = turns[i + 1].text;
      sample.key =
          Hasher().add(row).add(sample.prompt).add(sample.response).key();
      samples.push_back(std::move(sample));
      past.push_back({turns[i].text, turns[i + 1].text});
    }
  }
  return samples;
}

}  // namespace selfalign::cli
