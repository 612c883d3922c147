// SPDX-License-Identifier: Apache-2.0
#include "run_phrases.h"

#include "base/random.h"

namespace selfalign {

std::string words(uint64_t key, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    for (uint64_t letter = 0; letter < 5; ++letter) {
      text += static_cast<char>('a' +
                                draw_index(key, uint64_t(i) * 5 + letter, 26));
    }
  }
  return text;
}

std::vector<Phrases> phrases_for(const recipe::Prompts& prompts) {
  std::vector<Phrases> all = {{". Task:", {}},
                              {"\n4.", {}},
                              {" |", {}},
                              {prompts.align.thought_tag, {}},
                              {prompts.engraved.answer, {}},
                              {prompts.verbose_distill.answer, {}}};
  for (uint64_t i = 0; i < 24; ++i) {
    const std::string subject = words(i, 4);
    // The published filter drops the last of a list.
    all[0].texts.push_back(" Explain to me what " + words(100 + i, 5) +
                           " is.\nText: None\n\n7. Task: Say what " +
                           words(150 + i, 5) + " is.\nText: None\n" +
                           prompts.self_instruct.stop[0]);
    all[1].texts.push_back(" " + words(200 + i, 2) + "\n5. " +
                           words(300 + i, 2) + prompts.red_team.topic_stop[0]);
    all[2].texts.push_back(" Why does the " + words(400 + i, 4) + " do it?" +
                           prompts.red_team.question_stop[0]);
    all[3].texts.push_back(
        " Here rules 2 (informative), 3 (helpful) apply. The user asks for it."
        "\n\n" +
        prompts.align.answer_tag + " The answer is about " +
        words(500 + i, 22) + ".\n" + prompts.align.stop[0]);
    all[4].texts.push_back("In short it is " + words(600 + i, 9) + "." +
                           prompts.engraved.stop[0]);
    all[5].texts.push_back("In depth it is " + words(700 + i, 30) + "." +
                           prompts.verbose_distill.stop[0]);
  }
  return all;
}

}  // namespace selfalign
