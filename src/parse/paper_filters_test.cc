// SPDX-License-Identifier: Apache-2.0
// The published filters, faults included, beside what the default makes of
// the same rows.
#include "parse/paper_filters.h"

#include <gtest/gtest.h>

#include "recipe/profile.h"
#include "stages/instruction_filter.h"

namespace selfalign::parse {
namespace {

using generate::Finish;

std::string reason(const Judgement& judgement) {
  return judgement ? judgement->reason : "";
}

std::string judge_task(const std::string& task, const std::string& input = "") {
  return reason(paper_judge_task({task, input, false, true, false}));
}

TEST(PaperTasks, WordsNotLettersAreCounted) {
  EXPECT_EQ(judge_task("Name three birds"), "too_short");
  EXPECT_EQ(judge_task("Name three small birds"), "");
  std::string words = "Say";
  for (int i = 1; i < 150; ++i) words += " it";
  EXPECT_EQ(judge_task(words), "");
  EXPECT_EQ(judge_task(words + " all"), "too_long");
}

TEST(PaperTasks, EighteenWordsAreUnsuitableWhereverTheyStand) {
  for (const char* word :
       {"image", "images", "graph", "graphs", "picture", "pictures", "file",
        "files", "map", "maps", "draw", "plot", "go to", "video", "audio",
        "music", "flowchart", "diagram"}) {
    EXPECT_EQ(judge_task(std::string("Say what a ") + word + " is"), "not_text")
        << word;
  }
  // Nothing to see is asked for, and still it is dropped ...
  const char* plot = "Sum up the Plot of the novel Emma";
  EXPECT_EQ(judge_task(plot), "not_text");
  EXPECT_FALSE(judge_instruction(plot, false));
  EXPECT_EQ(judge_task("Sum up this short text", "We go to sea."), "not_text");
  // ... and what is to be seen, but not in the list, is kept.
  const char* photo = "Describe this photo in detail";
  EXPECT_EQ(judge_task(photo), "");
  EXPECT_EQ(reason(judge_instruction(photo, false)), "not_text");
  // Whole words only, as Python's regular expressions see them.
  EXPECT_EQ(judge_task("Explain the profile of a drawer"), "");
  for (const char* text :
       {"Say what “image” is", "Say what a map—or chart—is", "Say what map… is",
        "Say what an image\u0301 is", "Say what a MAP\u00a0is",
        "Say what ¿map? is", "Say what \u212Ao İmage is",
        "Say what an \u0131mage is", "Say what MAP\u017F are"}) {
    EXPECT_EQ(judge_task(text), "not_text") << text;
  }
  for (const char* text :
       {"Say what a mapé is", "Say what a map_ is", "Say what a map² is",
        "Say what 地map is", "Say what a map½ is", "Say what ima\u0301ge is"}) {
    EXPECT_EQ(judge_task(text), "") << text;
  }
}

TEST(PaperTasks, BeginningsAndEnds) {
  EXPECT_EQ(judge_task("\"Carpe diem\": translate it now"), "malformed");
  EXPECT_EQ(judge_task("Écris une lettre au roi"), "not_english");
  EXPECT_EQ(judge_task("Escribe una carta al rey"), "");
  EXPECT_EQ(reason(paper_judge_task(
                {"Name three small birds", "", false, false, false})),
            "malformed");
  // The last of a list is dropped though it is whole.
  const ListedTask last{"Name three small birds", "", false, true, true};
  EXPECT_EQ(reason(paper_judge_task(last)), "malformed");
  EXPECT_FALSE(recipe::profile_named("default").judge_task(last, last.task));
}

TEST(PaperTopics, UpToThreeWordsWithACapital) {
  EXPECT_EQ(reason(paper_judge_topic("Stock prices today")), "");
  EXPECT_EQ(reason(paper_judge_topic("Stock prices of today")), "too_long");
  EXPECT_EQ(reason(paper_judge_topic("stock prices")), "malformed");
  EXPECT_EQ(reason(paper_judge_topic("Stock prices.")), "malformed");
  EXPECT_EQ(reason(paper_judge_topic("")), "too_short");
  // A topic cut off by length is taken for whole.
  const ListedTopic cut{"Stock pri", "money", true};
  EXPECT_FALSE(recipe::profile_named("paper").judge_topic(cut));
  EXPECT_EQ(reason(recipe::profile_named("default").judge_topic(cut)),
            "malformed");
}

TEST(Clauses, ARepeatedOneCutsTheAnswer) {
  EXPECT_EQ(cut_at_repeated_clause("One. Two. One. Three.", false),
            "One. Two. One. Three.");  // " One." is not "One."
  EXPECT_EQ(cut_at_repeated_clause("So. A, b. A, c.", false), "So. A, b.");
  EXPECT_EQ(cut_at_repeated_clause("A...\n\nB?!\n\n", false), "A...\n\nB?!");
  EXPECT_EQ(cut_at_repeated_clause("", false), "");
  EXPECT_EQ(cut_at_repeated_clause("x `a` or `b` or c", false),
            "x `a` or `b` or c");
  EXPECT_EQ(cut_at_repeated_clause("x `a` or `b` or `c`", true),
            "x `a` or `b`");
}

TEST(Clauses, CutCodeAndLists) {
  const std::string code =
      "```\nfor a in x:\n  total += a\nfor b in y:\n  total += a\nprint()\n```";
  EXPECT_EQ(cut_at_repeated_clause(code, false),
            "```\nfor a in x:\n  total += a\nfor b in y:");
  const std::string list =
      "1. Salt\n2. Oil\n- Salt, to taste\n- Oil, to taste\n- Ice";
  EXPECT_EQ(cut_at_repeated_clause(list, false),
            "1. Salt\n2. Oil\n- Salt, to taste\n- Oil,");
}

class PaperAnswersTest : public ::testing::Test {
 protected:
  ReadAnswer read(const std::string& text, Finish finish = Finish::kLength) {
    return paper_read_align({instruction_, text, finish}, frame_);
  }
  // An answer after a thought that begins as it should, and the next turn.
  ReadAnswer finished(const std::string& answer) {
    return read(kThought + answer + "\n\nUser: And now?");
  }
  ReadAnswer by_default(const std::string& text,
                        Finish finish = Finish::kLength) {
    return read_answer({instruction_, text, finish}, frame_);
  }
  static std::string of_length(size_t n) {
    std::string text = "Salt.";
    for (int i = 0; text.size() < n; ++i) text += " w" + std::to_string(i);
    return text.substr(0, n);
  }

  const std::string kThought = " Here rules 2 (informative) apply.\n\nSage: ";
  std::string instruction_ = "Why is the sea salty?";
  AnswerFrame frame_ = {.assistant = "Sage",
                        .answer_tag = "Sage:",
                        .user_tag = "User:",
                        .turn_tags = {"User:", "Sage:"},
                        .marks = {"Sage:"},
                        .opening = "Here rules"};
};

TEST_F(PaperAnswersTest, FinishedOnesUnder149CharactersAreDropped) {
  EXPECT_EQ(reason(finished(of_length(147)).judgement), "too_short");
  EXPECT_EQ(reason(finished(of_length(148)).judgement), "too_short");
  const ReadAnswer kept = finished(of_length(149));
  EXPECT_EQ(reason(kept.judgement), "");
  EXPECT_EQ(kept.answer, of_length(149));
  EXPECT_TRUE(kept.ends);
  // Characters, not bytes.
  EXPECT_EQ(reason(finished(of_length(147) + "\xc3\xa9").judgement),
            "too_short");
  // The same answer, not finished, is kept; and so it is by default.
  EXPECT_EQ(reason(read(kThought + "It is salt from rocks.").judgement), "");
  EXPECT_FALSE(by_default(kThought + "Salt.\n\nUser: And?").judgement);
}

TEST_F(PaperAnswersTest, UnfinishedOnesLoseTheirLastWord) {
  const ReadAnswer cut = read(kThought + "It is salt from roc");
  EXPECT_EQ(cut.answer, "It is salt from");
  EXPECT_FALSE(cut.ends);
  // End of text is no end either: only the next turn is.
  const ReadAnswer ended = read(kThought + "It is salt.", Finish::kStop);
  EXPECT_EQ(ended.answer, "It is");
  EXPECT_FALSE(ended.ends);
  EXPECT_EQ(by_default(kThought + "It is salt.", Finish::kStop).answer,
            "It is salt.");
  // Where generation stops at the next turn, the stop is that turn.
  frame_.has_stop = true;
  EXPECT_TRUE(read(kThought + of_length(149), Finish::kStop).ends);
}

TEST_F(PaperAnswersTest, ARepeatedClauseTakesTheEndAway) {
  const std::string answer =
      of_length(160) + ". So it is, and it is, and it is, here is the rest.";
  const ReadAnswer cut = finished(answer);
  EXPECT_EQ(reason(cut.judgement), "");
  EXPECT_FALSE(cut.ends);
  EXPECT_EQ(cut.answer, of_length(160) + ". So it is, and it");
  EXPECT_EQ(by_default(kThought + answer + "\n\nUser: And?").answer, answer);
}

TEST_F(PaperAnswersTest, WordsOfTheExemplarsAreDropped) {
  const std::string long_enough = of_length(150);
  for (const char* word : {"president", "President", "weather", "alpaca",
                           "Alpaca", "1, 1, 4", "Good job! Clear context"}) {
    const std::string answer =
        long_enough + " The " + word + " and nothing else to say.";
    EXPECT_EQ(reason(finished(answer).judgement), "exemplar_word") << word;
    EXPECT_FALSE(by_default(kThought + answer + "\n\nUser: A").judgement);
  }
  EXPECT_EQ(reason(finished(long_enough + " the Weather").judgement), "");
  EXPECT_EQ(reason(read(kThought + "I am sorry, but no.").judgement),
            "apology");
  EXPECT_EQ(reason(read(kThought + "I'm sorry, but no.").judgement), "apology");
  EXPECT_EQ(reason(read(kThought + "Well.\nUser: so you say").judgement),
            "leaks_prompt");
  EXPECT_EQ(
      reason(read(kThought + "Well.\nSage (auto reply): so it is").judgement),
      "leaks_prompt");
}

TEST_F(PaperAnswersTest, ThoughtsMustOpenAsShownAndComeToAnAnswer) {
  EXPECT_EQ(reason(read(" The user asks.\n\nSage: Salt it is.").judgement),
            "no_opening");
  EXPECT_EQ(reason(read(" Here rules 2 apply.\nSage: No.").judgement),
            "no_answer");
  EXPECT_EQ(reason(read(kThought).judgement), "no_answer");
  EXPECT_EQ(read(kThought + "Salt.").thought,
            "Here rules 2 (informative) apply.");
}

TEST_F(PaperAnswersTest, HearsayIsLeftOut) {
  EXPECT_EQ(read(kThought + "According to my knowledge from Wikipedia, here "
                            "are three ways.")
                .answer,
            "Here are three");
}

// Each change of the second version beside the first, on the same text.
class Paper2AnswersTest : public PaperAnswersTest {
 protected:
  ReadAnswer read2(const std::string& text) {
    return paper2_read_align({instruction_, text, Finish::kLength}, frame_);
  }
  void expect_reasons(const std::string& answer, const std::string& first,
                      const std::string& second) {
    EXPECT_EQ(reason(read(kThought + answer).judgement), first) << answer;
    EXPECT_EQ(reason(read2(kThought + answer).judgement), second) << answer;
  }
};

TEST_F(Paper2AnswersTest, ClausesEndAtBackticksToo) {
  const std::string text = kThought + "Use `a` or `b` or `c` for all of it";
  EXPECT_EQ(read(text).answer, "Use `a` or `b` or `c` for all of");
  // Up to the second " or `", and without the last word.
  EXPECT_EQ(read2(text).answer, "Use `a` or");
}

TEST_F(Paper2AnswersTest, ApologiesAndHearsayStay) {
  expect_reasons("I'm sorry, but no.", "apology", "");
  expect_reasons("I am sorry, but no.", "apology", "");
  EXPECT_EQ(read2(kThought + "According to my knowledge from Wikipedia, here "
                             "are three ways.")
                .answer,
            "According to my knowledge from Wikipedia, here are three");
}

TEST_F(Paper2AnswersTest, MoreWordsOfTheExemplarsAreDropped) {
  for (const char* word : {"birthday party", "Birthday party",
                           "\xe5\xad\x99\xe4\xb9\x8b\xe6\xb8\x85"}) {
    expect_reasons(std::string("It is a ") + word + " and so on.", "",
                   "exemplar_word");
  }
  expect_reasons("It is a birthday and so on.", "", "");
  expect_reasons("It is the weather and so on.", "exemplar_word",
                 "exemplar_word");
}

TEST_F(Paper2AnswersTest, CopiesOfTheInstructionAreDropped) {
  expect_reasons("You ask: Why is the sea salty? I say so.", "",
                 "copies_instruction");
  expect_reasons("You ask why the sea is salty, and so on.", "", "");
  // Over 16 characters, not bytes.
  instruction_ = "Sing of sea fogs";
  expect_reasons("Sing of sea fogs and so on.", "", "");
  instruction_ = "Sing of sea f\xc3\xb8gs";
  expect_reasons("Sing of sea f\xc3\xb8gs and so on.", "", "");
  instruction_ = "Sing of sea frogs";
  expect_reasons("Sing of sea frogs and so on.", "", "copies_instruction");
  // A task and its input, each for itself.
  instruction_ = "Sum up the text below\n\nThe sea has salt.";
  expect_reasons("To Sum up the text below is easy.", "", "copies_instruction");
  expect_reasons("It says: The sea has salt. And so on.", "",
                 "copies_instruction");
  expect_reasons("It says that there is salt in the sea.", "", "");
}

class PaperVerboseTest : public ::testing::Test {
 protected:
  ReadAnswer read(const std::string& text) {
    return paper_read_verbose({instruction_, text, Finish::kLength}, frame_);
  }
  std::string instruction_ = "Why is the sea salty?";
  AnswerFrame frame_ = {.user_tag = "### User",
                        .turn_tags = {"### User", "### Sage"},
                        .marks = {"### Sage (in depth)"},
                        .prompt =
                            "Intro.\n\nPeople have kept bees for several "
                            "thousand years, and the best-known reason "
                            "for it is the honey that they make.\n"};
};

TEST_F(PaperVerboseTest, ShortUnfinishedOnesAreDropped) {
  EXPECT_EQ(reason(read("Salt.\n\n### User\nmore").judgement), "");
  EXPECT_EQ(reason(read(std::string(127, 'a') + " cut").judgement),
            "too_short");
  EXPECT_EQ(reason(read(std::string(128, 'a') + " cut").judgement), "");
}

// A last line without a mark repeats an earlier one, as both end their lines.
TEST_F(PaperVerboseTest, TheLineBreakBeforeTheTagEndsTheLastClause) {
  const std::string end = "\n\n### User\nmore";
  const ReadAnswer cut = read("Rivers:\nSeine\nRhine\nSeine" + end);
  EXPECT_EQ(cut.answer, "Rivers:\nSeine\nRhine");
  EXPECT_FALSE(cut.ends);
  const ReadAnswer whole = read("Rivers:\nSeine\nRhine\nSaar" + end);
  EXPECT_EQ(whole.answer, "Rivers:\nSeine\nRhine\nSaar");
  EXPECT_TRUE(whole.ends);
}

TEST_F(PaperVerboseTest, ListsEndAtTwelveAndLoseTheEnd) {
  std::string list = "Here are things:\n";
  for (int i = 1; i <= 14; ++i) {
    list += std::to_string(i) + ". Thing " + std::to_string(i) + " of many\n";
  }
  const ReadAnswer cut = read(list + "\n### User\n");
  EXPECT_EQ(cut.answer, list.substr(0, list.find("\n13. ")));
  EXPECT_FALSE(cut.ends);
  EXPECT_TRUE(read(list.substr(0, 60) + "\n\n### User\nmore").ends);
}

TEST_F(PaperVerboseTest, FrameHeadingsAndCopiesAreDropped) {
  const std::string end = "\n\n### User\nmore";
  EXPECT_EQ(reason(read("Salt.\n\n## See also\nSea" + end).judgement), "wiki");
  EXPECT_EQ(reason(read("Salt.\n\n### Sage (in depth)\nSea" + end).judgement),
            "leaks_prompt");
  EXPECT_EQ(reason(read("Salt. " + frame_.prompt.substr(8) + end).judgement),
            "copies_exemplar");
  instruction_ = "Who is Zhiqing?";
  EXPECT_EQ(reason(read("Salt." + end).judgement), "exemplar_word");
}

TEST(PaperTopics, EqualInLowerCaseAreOneOfAType) {
  const recipe::Prompts prompts;
  for (const char* profile : {"paper", "default"}) {
    stages::InstructionFilter filter(recipe::profile_named(profile), {},
                                     prompts);
    const auto judge = [&](const std::string& text, const std::string& type) {
      return reason(filter.judge(ListedTopic{text, type, false}));
    };
    EXPECT_EQ(judge("Deep Sea", "news"), "");
    EXPECT_EQ(judge("Deep sea", "news"), "duplicate") << profile;
    EXPECT_EQ(judge("Deep sea", "law"), "");
    EXPECT_EQ(judge("Deep seas", "news"), "");
  }
}

TEST(PaperDuplicates, AreFoundWithinAShardOnly) {
  recipe::InstructOptions options;
  options.shard_size = 2;
  const recipe::Prompts prompts;
  stages::InstructionFilter paper(recipe::profile_named("paper"), options,
                                  prompts);
  stages::InstructionFilter whole(recipe::profile_named("default"), options,
                                  prompts);
  const auto judge = [&](stages::InstructionFilter& filter,
                         const std::string& text) {
    return reason(filter.judge({text, "", false, true, false}, text, {}));
  };
  const std::string bread = "Explain how good bread rises in the oven.";
  const std::string close = "Explain how good bread rises in an oven.";
  for (stages::InstructionFilter* filter : {&paper, &whole}) {
    EXPECT_EQ(judge(*filter, bread), "");
    EXPECT_EQ(judge(*filter, close), "duplicate");
    EXPECT_EQ(judge(*filter, "Name three birds of the sea."), "");
  }
  // A new shard: near duplicates pass, the same letters do not.
  EXPECT_EQ(judge(paper, close), "");
  EXPECT_EQ(judge(paper, "Explain how good bread rises in the OVEN!"),
            "duplicate");
  EXPECT_EQ(judge(whole, close), "duplicate");
}

// Words and scores of rouge_score: umlauts part words, 0.7 comes out above.
TEST(PaperDuplicates, AreScoredAsByThePublishedTool) {
  const recipe::Prompts prompts;
  recipe::InstructOptions options;
  options.max_rouge_l = 0.7;
  stages::InstructionFilter paper(recipe::profile_named("paper"), options,
                                  prompts);
  stages::InstructionFilter whole(recipe::profile_named("default"), options,
                                  prompts);
  const auto judge = [](stages::InstructionFilter& filter,
                        const std::string& text) {
    return reason(filter.judge({text, "", false, true, false}, text, {}));
  };
  const std::string oven = "Explain how good bread rises in ovens";
  const std::string more = oven + " of great heat and little air";  // 7 of 13
  EXPECT_EQ(judge(paper, oven), "");
  EXPECT_EQ(judge(paper, more), "duplicate");
  EXPECT_EQ(judge(whole, oven), "");
  EXPECT_EQ(judge(whole, more), "");
  const std::string maria = "Write to María Peña";
  EXPECT_EQ(judge(paper, maria), "");
  EXPECT_EQ(judge(paper, "Write to Marüa Peöa"), "duplicate");
}

// Across shards each character that is no letter or digit is one space.
TEST(PaperDuplicates, AcrossShardsCharactersCountNotBytes) {
  recipe::InstructOptions options;
  options.shard_size = 1;
  const recipe::Prompts prompts;
  stages::InstructionFilter paper(recipe::profile_named("paper"), options,
                                  prompts);
  const auto judge = [&](const std::string& text) {
    return reason(paper.judge({text, "", false, true, false}, text, {}));
  };
  EXPECT_EQ(judge("Say where the café is"), "");
  EXPECT_EQ(judge("Say where the caf? is"), "duplicate");
  EXPECT_EQ(judge("Say where the caf?? is"), "");
}

TEST(PaperQuestions, AreTakenAsTheyComeOnePerTopic) {
  const recipe::InstructOptions options;
  const recipe::Prompts prompts;
  stages::InstructionFilter paper(recipe::profile_named("paper"), options,
                                  prompts);
  stages::InstructionFilter own(recipe::profile_named("default"), options,
                                prompts);
  EXPECT_EQ(reason(paper.judge({"What is it?", "news", "Snow", false}, {})),
            "");
  EXPECT_EQ(reason(paper.judge({"What is it?", "news", "Rain", false}, {})),
            "");
  EXPECT_EQ(reason(paper.judge({"Is it so?", "news", "Rain", false}, {})),
            "duplicate");
  EXPECT_EQ(reason(own.judge({"What is it?", "news", "Snow", false}, {})), "");
  EXPECT_EQ(reason(own.judge({"What is it?", "news", "Rain", false}, {})),
            "duplicate");
  EXPECT_EQ(reason(own.judge({"Is it so?", "news", "Rain", false}, {})), "");
  // A line of the list that lacks its question.
  const ListedQuestion bare{"6. news | Fog", "news", "Fog", false, false};
  EXPECT_EQ(reason(paper.judge(bare, {})), "");
  EXPECT_EQ(reason(own.judge(bare, {})), "malformed");
}

TEST(Profiles, FiltersAreNamedAndPaired) {
  const recipe::Profile& own = recipe::profile_named("default");
  const recipe::Profile& paper = recipe::profile_named("paper");
  EXPECT_EQ(paper.align.name, "align.paper.1");
  EXPECT_EQ(recipe::counterpart(own.instruct_filter), paper.instruct_filter);
  EXPECT_EQ(recipe::counterpart(own.topic_filter), paper.topic_filter);
  EXPECT_EQ(recipe::counterpart(own.align.name), paper.align.name);
  EXPECT_EQ(recipe::counterpart(paper.verbose.name), own.verbose.name);
  EXPECT_EQ(recipe::counterpart("align.default.0"), "");
  // The second version is compared with default; default with the first.
  const recipe::Profile& second = recipe::profile_named("paper2");
  EXPECT_EQ(second.align.name, "align.paper2.1");
  EXPECT_EQ(recipe::counterpart(second.align.name), own.align.name);
  EXPECT_EQ(other_profile(second).name, "default");
  EXPECT_EQ(other_profile(own).name, "paper");
  EXPECT_EQ(recipe::profile_of(second.verbose.name), "paper2");
  EXPECT_EQ(recipe::profile_of("align.default.0"), "");
}

}  // namespace
}  // namespace selfalign::parse
