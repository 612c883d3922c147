// SPDX-License-Identifier: Apache-2.0
#include "recipe/annotations.h"

namespace selfalign::recipe {

Annotations count_annotations(const Prompts& prompts) {
  int topics = 0;
  int questions = 0;
  for (const QuestionType& type : prompts.red_team.types) {
    topics += static_cast<int>(type.topics.size());
    questions += static_cast<int>(type.questions.size());
  }
  Annotations all;
  all.counts = {{"seed tasks", static_cast<int>(prompts.seed_tasks.size())},
                {"adversarial question types",
                 static_cast<int>(prompts.red_team.types.size())},
                {"principles", static_cast<int>(prompts.principles.size())},
                {"exemplars", static_cast<int>(prompts.exemplars.size())},
                {"seed topics of the types", topics, false},
                {"seed questions of the types", questions, false},
                {"self-identification rows",
                 static_cast<int>(prompts.identity.size()), false},
                {"held-out instructions (evaluation only)",
                 static_cast<int>(prompts.held_out.size()), false}};
  for (const AnnotationCount& count : all.counts) {
    if (count.in_table) all.total += count.count;
  }
  return all;
}

}  // namespace selfalign::recipe
