// SPDX-License-Identifier: Apache-2.0
#include "stages/tune.h"

#include "base/hash.h"
#include "stages/conversations.h"
#include "stages/given.h"
#include "stages/tuning.h"

namespace selfalign::stages {
namespace {

using store::Row;

constexpr char kSamples[] = "tune.samples";

formats::Conversation conversation_of(const Row& row) {
  formats::Conversation conversation;
  for (const Json& message : row.content.at("messages")) {
    conversation.turns.push_back(
        {json_string(message, "role", kGivenConversations),
         json_string(message, "content", kGivenConversations),
         json_bool_or(message, "learn", kGivenConversations, true)});
  }
  return conversation;
}

std::vector<Row> sample_rows(const Run& run) {
  const std::string prompt = prompt_digest(run.prompts.tuned);
  std::vector<Row> rows;
  for (const Row& row :
       run.store.kept(kGivenConversations, kConversationFilter)) {
    const Dialogue dialogue = find_exchanges(conversation_of(row));
    Json turns = Json::array();
    for (const DialogueTurn& turn : dialogue.turns) {
      turns.push_back({{"instruction", turn.user},
                       {"response", turn.answer},
                       {"ends", true}});
      if (!turn.learn) turns.back()["learn"] = false;
    }
    Json content{{"turns", std::move(turns)}, {"source", kGivenConversations}};
    if (!dialogue.system.empty()) content["system"] = dialogue.system;
    rows.push_back({Hasher().add(kSamples).add(row.key).add(prompt).key(),
                    kSamples,
                    int64_t(rows.size()),
                    {row.key},
                    std::move(content)});
  }
  return rows;
}

}  // namespace

void run_tune(const Run& run) {
  take_conversations(run);
  tune_on_rows({.source = kGivenConversations,
                .samples = kSamples,
                .adapter = "tune.adapter",
                .folder = "tuned",
                .form = "tuned",
                .prompt = run.prompts.tuned,
                .with_identity = false,
                .options = run.recipe.tune},
               run, [&run] { return sample_rows(run); });
}

}  // namespace selfalign::stages
