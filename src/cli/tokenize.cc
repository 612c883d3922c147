// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json_parse.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "formats/load_tokenizer.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(One JSON string a line in, one object a line out:
  echo '"Hello  world"' | selfalign tokenize MODEL
  {"ids":[19556,216,905],"decoded":"Hello  world"}

PATH is an HF folder, a tokenizer.json, a SentencePiece .model or a GGUF file.
No BOS or EOS is added. The text of a special token, such as <|im_end|>,
becomes that token, as in the reference tokenizers; with --plain it is plain
text, as it is for whatever a user or a model wrote.)";

void tokenize_lines(const std::string& path, bool plain) {
  LineReader reader;
  const std::unique_ptr<text::Tokenizer> tokenizer =
      formats::load_tokenizer(path);
  reader.ask_for("a JSON string a line");
  while (const std::optional<std::string> line = reader.next_filled()) {
    const Json value = parse_json_line(*line, reader.where());
    if (!value.is_string()) {
      throw Error(ErrorKind::kInput,
                  str(reader.where(), ": expected a JSON string, found ",
                      value.type_name(), "; quote the text"));
    }
    const std::vector<int> ids =
        tokenizer->encode(value.get_ref<const std::string&>(), !plain);
    write_json(Json{{"ids", ids}, {"decoded", tokenizer->decode(ids, true)}});
  }
}

}  // namespace

void add_tokenize(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "tokenize", "Text to token ids and back: JSON strings in, JSON out");
  auto path = std::make_shared<std::string>();
  auto plain = std::make_shared<bool>(false);
  command
      ->add_option("path", *path,
                   "HF folder, tokenizer.json, SentencePiece .model or GGUF")
      ->required();
  command->add_flag("--plain", *plain,
                    "text of special tokens stays plain text");
  command->footer(kFooter);
  set_action(*command, shell, [path, plain] { tokenize_lines(*path, *plain); });
}

}  // namespace selfalign::cli
