// SPDX-License-Identifier: Apache-2.0
// Everything a person wrote for the method: principles, exemplars, seeds, the
// prompts of every stage. Data in prompts/*.yaml, which say how each prompt is
// put together and how what the model writes under it is parsed.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace selfalign::recipe {

struct Principle {
  std::string name;
  std::string text;
};

struct ExemplarTurn {
  std::string user;
  std::string thought;
  std::string answer;
};
struct Exemplar {
  std::vector<ExemplarTurn> turns;  // at least one
  std::string close;                // "": AlignPrompt::close
};

// Stage 2 (align.yaml).
struct AlignPrompt {
  std::string assistant;
  std::string user_tag;
  std::string thought_tag;
  std::string answer_tag;
  std::string principle;  // {number} {name} {text}
  std::string turn;       // {user} {thought} {answer}
  std::string close;      // the turn that ends a conversation
  std::string prompt;     // {assistant} {principles} {exemplars}
  std::string suffix;     // {instruction}
  std::vector<std::string> stop;
};

// A short prompt without principles (meta.yaml).
struct ChatPrompt {
  std::string prompt;  // the assistant's name filled in
  std::string user;    // {instruction}
  std::string answer;
  std::string between;  // before a further turn
  std::vector<std::string> stop;
};

// Stage 1 (self_instruct.yaml, seed_tasks.yaml).
struct SeedTask {
  std::string instruction;
  std::string input;  // "" if it needs none
};
struct SelfInstructPrompt {
  int num_total = 20;
  std::string no_input;
  std::string item;    // {number} {instruction} {input}
  std::string prompt;  // {total} {exemplars} {next}
  std::vector<std::string> stop;
};

// Stage 1, topic-guided red-teaming (red_team.yaml).
struct SeedQuestion {
  std::string topic;
  std::string question;
};
struct QuestionType {
  std::string type;
  double weight = 1.0;  // its share of the questions against the others'
  std::vector<std::string> topics;
  std::vector<SeedQuestion> questions;
};
struct RedTeamPrompt {
  int num_topics = 10;
  std::string topic_prompt;  // {total} {type} {topics} {next}
  std::vector<std::string> topic_stop;
  std::string example;          // {number} {type} {topic} {question}
  std::string hint;             // {number} {type} {topic}
  std::string question_prompt;  // {examples} {hints}
  std::vector<std::string> question_stop;
  std::string list_prompt;  // {hints} {examples}; "": only one hint a request
  std::vector<QuestionType> types;
};

struct IdentityRow {
  std::string question;
  std::string answer;
};

struct HeldOutInstruction {
  std::string instruction;
  bool show = false;  // answered side by side in the report
};

struct Prompts {
  std::vector<Principle> principles;
  std::vector<Exemplar> exemplars;
  AlignPrompt align;
  SelfInstructPrompt self_instruct;
  std::vector<SeedTask> seed_tasks;
  RedTeamPrompt red_team;
  ChatPrompt engraved;
  ChatPrompt verbose_distill;
  ChatPrompt verbose;
  ChatPrompt tuned;  // of a baseline; where not given, engraved's turns alone
  // Forms in which a tuned model is asked, by name; the paper's, or fewer.
  std::map<std::string, ChatPrompt> inference;
  std::vector<IdentityRow> identity;
  std::vector<HeldOutInstruction> held_out;
  std::string digest;  // of all the files
};

// The files a prompts folder holds.
const std::vector<std::string>& prompt_files();

// Folders whose files stand in place of others', the last one first.
using Overlays = std::vector<std::string>;

// Where a prompt file is: in the last of `overlays` that has one of the name,
// else in `folder`; what that lacks is in the folder around it, so that
// prompts/small can be named alone.
std::string prompt_path(const std::string& folder, const Overlays& overlays,
                        const std::string& file);

// Reads the folder. Error kUsage names every mistake of a file at
// file:line:column: unknown and missing keys, templates with unknown places,
// exemplars that name a rule that is not there, files of an overlay that
// replace none.
Prompts load_prompts(const std::string& folder, const Overlays& overlays = {});

// Stage 2's prompt up to the user's turn, the same for every row; and the
// rest, which ends in the thought tag.
std::string align_prefix(const Prompts& prompts);
std::string align_suffix(const Prompts& prompts,
                         const std::string& instruction);
// The user's turn of a chat prompt and the tag of the answer after it.
std::string chat_turn(const ChatPrompt& chat, const std::string& instruction);
// What opens a user's turn of a chat prompt: "### User"; may be empty.
std::string chat_user_tag(const ChatPrompt& chat);
// The answers of the turns that a chat prompt shows.
std::vector<std::string> shown_answers(const ChatPrompt& chat);

// The short prompt of a form: "engraved", "final" (which stage 4 trained, key
// `verbose`), "tuned" or one of `inference`. Error kUsage names the forms there
// are.
const ChatPrompt& chat_form(const Prompts& prompts, const std::string& form);
// Names that `inference` may have: the inference prompts of the paper.
const std::vector<std::string>& inference_forms();

std::vector<std::string> principle_names(const Prompts& prompts);

}  // namespace selfalign::recipe
