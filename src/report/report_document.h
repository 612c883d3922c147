// SPDX-License-Identifier: Apache-2.0
// The report as a document: sections of paragraphs, tables, charts and texts.
// Apart from how it is written, so that HTML and Markdown say the same. All
// text in it is plain and may be hostile; only the writers make markup.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "report/charts.h"

namespace selfalign::report {

enum class BlockKind {
  kHeading,    // title; of a part of a section
  kParagraph,  // text
  kNote,       // text that a reader must not miss
  kFacts,      // table: rows of {name, value}, shown large
  kTable,      // table
  kCharts,     // charts, side by side where there is room
  kText,       // title, text: what a model or a person wrote, as it is
  kCode,       // title, text: settings or commands
  kDetails,    // title; children, folded away
  kCard,       // title; children that belong together, as the parts of a row
};

struct Block {
  BlockKind kind = BlockKind::kParagraph;
  std::string title = {};
  std::string text = {};
  Table table = {};
  std::vector<Chart> charts = {};
  std::vector<Block> children = {};
  // Of kDetails and kCard: too long for Markdown, which points to the JSON.
  bool only_html = false;
};

inline Block heading(std::string title) {
  return {.kind = BlockKind::kHeading, .title = std::move(title)};
}
inline Block paragraph(std::string text) {
  return {.kind = BlockKind::kParagraph, .text = std::move(text)};
}
inline Block note(std::string text) {
  return {.kind = BlockKind::kNote, .text = std::move(text)};
}
inline Block facts(std::vector<std::vector<std::string>> rows) {
  return {.kind = BlockKind::kFacts, .table = {"", {"", ""}, std::move(rows)}};
}
inline Block table(Table table) {
  return {.kind = BlockKind::kTable, .table = std::move(table)};
}
inline Block charts(std::vector<Chart> charts) {
  return {.kind = BlockKind::kCharts, .charts = std::move(charts)};
}
inline Block text_block(std::string title, std::string text) {
  return {.kind = BlockKind::kText,
          .title = std::move(title),
          .text = std::move(text)};
}
inline Block code(std::string title, std::string text) {
  return {.kind = BlockKind::kCode,
          .title = std::move(title),
          .text = std::move(text)};
}
inline Block details(std::string title, std::vector<Block> children) {
  return {.kind = BlockKind::kDetails,
          .title = std::move(title),
          .children = std::move(children)};
}
inline Block card(std::string title, std::vector<Block> children) {
  return {.kind = BlockKind::kCard,
          .title = std::move(title),
          .children = std::move(children)};
}

struct Section {
  std::string id;     // of the anchor: letters, digits and hyphens
  std::string title;  // also in the list of contents
  std::vector<Block> blocks;
};

struct Document {
  std::string title;
  std::string subtitle;
  std::vector<Block> summary;  // between the title and the first section
  std::vector<Section> sections;
  std::string footer;
};

// One page that opens offline: no script, no request, its style sheet allowed
// by hash. Valid UTF-8 whatever the document holds.
std::string document_html(const Document& document);
// GitHub's Markdown; of charts the tables.
std::string document_markdown(const Document& document);
std::string blocks_markdown(const std::vector<Block>& blocks);

}  // namespace selfalign::report
