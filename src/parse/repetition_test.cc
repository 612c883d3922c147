// SPDX-License-Identifier: Apache-2.0
#include "parse/repetition.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "recipe/prompts.h"

namespace selfalign::parse {
namespace {

std::string times(int number, const std::string& text) {
  std::string all;
  for (int i = 0; i < number; ++i) all += text;
  return all;
}

struct Case {
  const char* name;
  std::string text;
};

std::vector<Case> good_texts() {
  std::string capitals = "Here are the capitals:\n";
  std::string plain_capitals;
  std::string steps = "To repair it, do this.\n";
  const char* countries[] = {"France", "Spain",  "Italy",  "Poland", "Norway",
                             "Greece", "Sweden", "Turkey", "Egypt",  "Peru"};
  const char* cities[] = {"Paris",  "Madrid",    "Rome",   "Warsaw", "Oslo",
                          "Athens", "Stockholm", "Ankara", "Cairo",  "Lima"};
  for (int i = 0; i < 10; ++i) {
    const std::string frame = std::string("The capital city of the country ") +
                              countries[i] + " is called " + cities[i] + ".";
    capitals += std::to_string(i + 1) + ". " + frame + "\n";
    plain_capitals += frame + " ";
    steps += "- Take the part called " + std::string(cities[i]) +
             " and put it on the table.\n";
  }
  std::string table = "| Country | Capital | In Europe |\n|---|---|---|\n";
  for (int i = 0; i < 10; ++i) {
    table += std::string("| ") + countries[i] + " | " + cities[i] +
             (i < 8 ? " | yes |\n" : " | no |\n");
  }
  std::string code = "Use this:\n```cpp\n";
  for (int i = 0; i < 8; ++i) {
    code += "  result[" + std::to_string(i) + "] = left[" + std::to_string(i) +
            "] + right[" + std::to_string(i) + "];\n";
  }
  std::string tests = "```python\n";
  for (const char* name : {"empty", "one", "two", "many"}) {
    tests += std::string("def test_") + name + "():\n" +
             "    result = run()\n    assert result is not None\n" +
             "    assert result == expected\n    print(result)\n\n";
  }
  std::string bare_code;
  for (const char* name : {"width", "height", "depth"}) {
    bare_code += std::string("if (") + name + " < 0) {\n  return -1;\n}\n";
  }
  std::string poem;
  const char* verses[] = {
      "The wind blew hard across the bay\nand took the fishing boats away",
      "The gulls went crying to the shore\nwhere nets are mended by the door",
      "A lamp was lit on every sill\nthe children watched it from the hill",
      "At dawn the sails came home again\nwith silver fish and singing men"};
  for (const char* verse : verses) {
    poem += std::string(verse) +
            "\nand oh, the sea, the sea goes on,\nthe sea goes on alone.\n\n";
  }
  return {
      {"empty", ""},
      {"list with a frame", capitals},
      {"sentences with a frame", plain_capitals},
      {"bullets with a long frame", steps},
      {"list in a line",
       "1. Wash the rice. 2. Boil the rice. 3. Serve the rice. 4. Eat it."},
      {"table", table},
      {"code with similar lines", code + "```\nThat is all."},
      {"code of alike functions", tests + "```"},
      {"code without a fence", bare_code},
      {"matrix of zeros",
       "```\n[[0, 0, 0, 0],\n [0, 0, 0, 0],\n [0, 0, 0, 0]]\n```"},
      {"poem with a refrain", poem},
      {"markup", "<ul>\n<li>Bread</li>\n<li>Milk</li>\n<li>Eggs</li>\n</ul>"},
      {"dialogue",
       "Anna: What do you want to eat?\nBen: I want to eat soup.\n"
       "Anna: What do you want to drink?\nBen: I want to drink tea.\n"
       "Anna: What do you want to read?\nBen: I want to read the news."},
      {"questions",
       "What is the name of the animal? What is the color of the animal? What "
       "is the size of the animal? Where does the animal live, and what does "
       "it eat in winter?"},
      {"short answers", "Yes. No. Yes. No. Yes."},
      {"times table",
       "3 x 1 = 3\n3 x 2 = 6\n3 x 3 = 9\n3 x 4 = 12\n3 x 5 = 15\n3 x 6 = 18\n"
       "3 x 7 = 21\n3 x 8 = 24\n3 x 9 = 27\n3 x 10 = 30"},
      {"emphasis", "It is very, very, very cold up there in winter."},
  };
}

std::vector<Case> loops() {
  std::string numbered;
  std::string alternating;
  std::string reworded;
  for (int i = 1; i <= 6; ++i) {
    const std::string mark = std::to_string(i) + ". ";
    numbered += mark + "Make sure that you drink water.\n";
    alternating += mark + (i % 2 ? "Drink a lot of water.\n" : "Sleep well.\n");
    reworded += mark + (i % 2 ? "They are very important to the sea.\n"
                              : "The sea is important to them.\n");
  }
  std::string rows = "| City | Country |\n|---|---|\n";
  return {
      {"words",
       "so it goes on and on and on and on and on and on and on and on"},
      {"sentences", times(10, "It is very salty indeed. ")},
      {"reworded sentences",
       "In the sea there are fish. They are very important to the sea. They "
       "are very important to the sea. Fish are very important to the sea. "
       "They are very important to the sea, too."},
      {"the same item", "My advice:\n" + numbered},
      {"the same item, cut", numbered + "7. Make sure that"},
      {"a short item",
       "1. Buy milk.\n2. Buy milk.\n3. Buy milk.\n4. Buy milk."},
      {"items by turns", alternating + alternating},
      {"reworded items", reworded},
      {"a line between others",
       "The house is old.\n" + times(4, "We like the house.\n") +
           "That is all there is to say about it, and we will leave it here."},
      {"the same item in between",
       "- Check the oil\n- Wash your hands before you start\n- Look up\n"
       "- Wash your hands before you start\n- Look down\n"
       "- Wash your hands before you start\n- Go home\n"
       "- Wash your hands before you start\n"},
      {"the same row", rows + times(5, "| Paris | France | Europe |\n")},
      {"lines of code",
       "```\n" + times(6, "total = total + values[index]\n") + "```"},
      {"block of code",
       "```\n" + times(5, "x = read()\nif x:\n    write(x + 1)\n") + "```"},
      {"functions again",
       times(3,
             "int add(int a, int b) {\n  int sum = a + b;\n  log(sum, a, "
             "b);\n  return sum + offset(a, b);\n}\nint half(int n) {\n  "
             "return n / 2;\n}\n")},
      {"numbers without end", "```\n[" + times(80, "0, ") + "\n```"},
      {"verse",
       times(4, "The sea is wide\nthe sea is deep\nthe sea is blue\n")},
      {"headed steps",
       "Here it is:\nStep 1:\nThe user writes to the user.\nStep 2:\nThe user "
       "writes to the user.\nStep 3:\nThe user writes to the user.\n"},
      {"items with one other word in front",
       "1. Lilac: I will be wearing a dress with a color that is not the color "
       "of the city.\n2. Amber: I will be wearing a dress with a color that is "
       "not the color of the city.\n3. Olive: I will be wearing a dress with a "
       "color that is not the color of the city.\n"},
      {"within long sentences",
       "The film will tell you what happens in the film, but it will not tell "
       "you what happens in the film. The film will tell you what happens in "
       "the film."},
      {"loop after good text",
       "Rice is washed first, then boiled in twice as much water. " +
           times(4, "Rice is good for you and your health. ")},
  };
}

TEST(Repetition, IsNotForm) {
  for (const Case& one : good_texts()) {
    EXPECT_FALSE(has_repetition(one.text)) << one.name << "\n" << one.text;
  }
  for (const char* folder : {"prompts", "prompts/small"}) {
    for (const recipe::Exemplar& exemplar :
         recipe::load_prompts(folder).exemplars) {
      for (const recipe::ExemplarTurn& turn : exemplar.turns) {
        EXPECT_FALSE(has_repetition(turn.answer)) << turn.answer;
      }
    }
  }
}

TEST(Repetition, IsFoundInEveryForm) {
  for (const Case& one : loops()) {
    EXPECT_TRUE(has_repetition(one.text)) << one.name << "\n" << one.text;
  }
}

}  // namespace
}  // namespace selfalign::parse
