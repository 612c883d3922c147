// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "report/markup.h"
#include "report/report_document.h"

namespace selfalign::report {
namespace {

void put_table(const Table& table, std::ostream& out) {
  if (table.rows.empty()) return;
  if (!table.caption.empty()) {
    out << "**" << markdown_text(table.caption) << "**\n\n";
  }
  const auto put_row = [&out](const std::vector<std::string>& cells) {
    out << "|";
    for (const std::string& cell : cells) {
      out << " " << markdown_text(cell) << " |";
    }
    out << "\n";
  };
  put_row(table.columns);
  out << "|";
  for (size_t i = 0; i < table.columns.size(); ++i) out << "---|";
  out << "\n";
  for (const auto& row : table.rows) put_row(row);
  out << "\n";
}

void put_blocks(const std::vector<Block>& blocks, std::ostream& out);

void put_block(const Block& block, std::ostream& out) {
  if (block.only_html) return;
  switch (block.kind) {
    case BlockKind::kHeading:
      out << "### " << markdown_text(block.title) << "\n\n";
      return;
    case BlockKind::kParagraph:
      out << markdown_text(block.text) << "\n\n";
      return;
    case BlockKind::kNote:
      out << "> " << markdown_text(block.text) << "\n\n";
      return;
    case BlockKind::kFacts:
    case BlockKind::kTable:
      put_table(block.table, out);
      return;
    case BlockKind::kCharts:
      for (const Chart& chart : block.charts) {
        put_table(chart_table(chart), out);
      }
      return;
    case BlockKind::kText:
    case BlockKind::kCode:
      if (!block.title.empty()) {
        out << markdown_text(block.title) << ":\n\n";
      }
      out << markdown_block(block.text) << "\n";
      return;
    case BlockKind::kDetails:
    case BlockKind::kCard:
      out << "**" << markdown_text(block.title) << "**\n\n";
      put_blocks(block.children, out);
      return;
  }
}

void put_blocks(const std::vector<Block>& blocks, std::ostream& out) {
  for (const Block& block : blocks) put_block(block, out);
}

}  // namespace

std::string blocks_markdown(const std::vector<Block>& blocks) {
  std::ostringstream out;
  put_blocks(blocks, out);
  return out.str();
}

std::string document_markdown(const Document& document) {
  std::ostringstream out;
  out << "# " << markdown_text(document.title) << "\n\n"
      << markdown_text(document.subtitle) << "\n\n";
  put_blocks(document.summary, out);
  for (const Section& section : document.sections) {
    out << "## " << markdown_text(section.title) << "\n\n";
    put_blocks(section.blocks, out);
  }
  out << markdown_text(document.footer) << "\n";
  return out.str();
}

}  // namespace selfalign::report
