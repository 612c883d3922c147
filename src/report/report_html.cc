// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <sstream>

#include "base/number.h"
#include "base/sha256.h"
#include "report/markup.h"
#include "report/report_document.h"
#include "report/report_style.h"

namespace selfalign::report {
namespace {

// Of the hash in the page's policy.
std::string base64_of_hex(const std::string& hex) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int num_bits = 0;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bits = bits << 8 | parse_hex_byte(hex.substr(i, 2)).value();
    for (num_bits += 8; num_bits >= 6; num_bits -= 6) {
      out += kDigits[bits >> (num_bits - 6) & 63];
    }
  }
  if (num_bits > 0) out += kDigits[bits << (6 - num_bits) & 63];
  while (out.size() % 4) out += '=';
  return out;
}

bool is_figure(const std::string& cell) {
  if (cell.empty() || cell.size() > 40) return false;
  if (cell == "–") return true;
  if (cell.find_first_not_of("0123456789.,+-e %[]") != std::string::npos) {
    return false;
  }
  const size_t sign = cell[0] == '-' || cell[0] == '+' ? 1 : 0;
  return sign < cell.size() &&
         std::isdigit(static_cast<unsigned char>(cell[sign]));
}

// Writes what stands in a page: blocks, tables and charts. Regions and charts
// are numbered through the page.
class BlockWriter {
 public:
  explicit BlockWriter(std::ostream& out) : out_(out) {}

  // `level` is that of a heading among the blocks.
  void put_blocks(const std::vector<Block>& blocks, int level) {
    bool in_cards = false;
    for (const Block& block : blocks) {
      const bool is_card = block.kind == BlockKind::kCard;
      if (is_card && !in_cards) out_ << "<div class=\"cards\">\n";
      if (!is_card && in_cards) out_ << "</div>\n";
      in_cards = is_card;
      put_block(block, level);
    }
    if (in_cards) out_ << "</div>\n";
  }

 private:
  void put_block(const Block& block, int level) {
    switch (block.kind) {
      case BlockKind::kHeading:
        put_heading(block.title, level);
        return;
      case BlockKind::kParagraph:
        out_ << "<p>" << html_text(block.text) << "</p>\n";
        return;
      case BlockKind::kNote:
        out_ << "<p class=\"note\">" << html_text(block.text) << "</p>\n";
        return;
      case BlockKind::kFacts:
        put_facts(block.table);
        return;
      case BlockKind::kTable:
        put_table(block.table);
        return;
      case BlockKind::kCharts:
        put_charts(block.charts);
        return;
      case BlockKind::kText:
      case BlockKind::kCode:
        put_pre(block);
        return;
      case BlockKind::kDetails:
        out_ << "<details><summary>" << html_text(block.title)
             << "</summary>\n";
        put_blocks(block.children, level);
        out_ << "</details>\n";
        return;
      case BlockKind::kCard:
        out_ << "<div class=\"card\">\n";
        put_heading(block.title, level);
        put_blocks(block.children, level + 1);
        out_ << "</div>\n";
        return;
    }
  }

  void put_heading(const std::string& title, int level) {
    out_ << "<h" << level << ">" << html_text(title) << "</h" << level << ">\n";
  }

  void put_pre(const Block& block) {
    if (!block.title.empty()) {
      out_ << "<p class=\"label\">" << html_text(block.title) << "</p>";
    }
    const bool is_code = block.kind == BlockKind::kCode;
    out_ << "<pre class=\"" << (is_code ? "code" : "text")
         << (is_code ? "\">\n" : "\" dir=\"auto\">\n") << html_text(block.text)
         << "</pre>\n";
  }

  void put_facts(const Table& table) {
    out_ << "<dl class=\"facts\">\n";
    for (const auto& row : table.rows) {
      out_ << "<div><dt>" << html_text(row[0]) << "</dt><dd>"
           << html_text(row[1]) << "</dd></div>\n";
    }
    out_ << "</dl>\n";
  }

  void open_scroll(const std::string& name) {
    out_ << "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
            "aria-label=\""
         << html_text(name.empty() ? "Table" : name) << ", " << ++num_scrolls_
         << "\">\n";
  }

  void put_table(const Table& table) {
    if (table.rows.empty()) return;
    open_scroll(table.caption);
    out_ << "<table>";
    if (!table.caption.empty()) {
      out_ << "<caption>" << html_text(table.caption) << "</caption>";
    }
    out_ << "<thead><tr>";
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const std::string& name = table.columns[c];
      const char* type =
          c > 0 && is_figure_column(table, c) ? " class=\"number\"" : "";
      if (name.empty()) {
        out_ << "<td></td>";
      } else {
        out_ << "<th scope=\"col\"" << type << ">" << html_text(name)
             << "</th>";
      }
    }
    out_ << "</tr></thead><tbody>\n";
    for (const auto& row : table.rows) put_row(row);
    out_ << "</tbody></table></div>\n";
  }

  static bool is_figure_column(const Table& table, size_t column) {
    return column < table.rows[0].size() && is_figure(table.rows[0][column]);
  }

  void put_row(const std::vector<std::string>& row) {
    out_ << "<tr>";
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string text = html_text(row[c]);
      if (c == 0) {
        out_ << "<th scope=\"row\">" << text << "</th>";
      } else {
        out_ << (is_figure(row[c]) ? "<td class=\"number\">" : "<td>") << text
             << "</td>";
      }
    }
    out_ << "</tr>\n";
  }

  void put_charts(const std::vector<Chart>& charts) {
    if (charts.empty()) return;
    const bool wide = std::holds_alternative<HeatMap>(charts[0]);
    out_ << "<div class=\"charts" << (wide ? " wide" : "") << "\">\n";
    for (const Chart& chart : charts) put_chart(chart);
    out_ << "</div>\n";
  }

  void put_chart(const Chart& chart) {
    const std::string id = "c" + std::to_string(++num_charts_);
    const std::string description =
        std::visit([](const auto& one) { return one.description; }, chart);
    out_ << "<figure>\n<figcaption>" << html_text(chart_title(chart));
    if (!description.empty()) {
      out_ << "<span>" << html_text(description) << "</span>";
    }
    out_ << "</figcaption>\n";
    const bool wide = std::holds_alternative<HeatMap>(chart);
    if (wide) open_scroll(chart_title(chart));
    out_ << chart_svg(chart, id) << "\n";
    if (wide) out_ << "</div>\n";
    const auto* bars = std::get_if<BarChart>(&chart);
    if (bars != nullptr && bars->reference) {
      out_ << "<p class=\"key\">" << html_text(bars->reference_name) << ": "
           << html_text(figure_text(*bars->reference, bars->unit)) << "</p>\n";
    }
    out_ << "<details><summary>Data: " << html_text(chart_title(chart))
         << "</summary>\n";
    put_table(chart_table(chart));
    out_ << "</details>\n</figure>\n";
  }

  std::ostream& out_;
  int num_charts_ = 0;
  int num_scrolls_ = 0;
};

void put_head(const Document& document, std::ostream& out) {
  out << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
         "<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\""
         "default-src 'none'; style-src 'sha256-"
      << base64_of_hex(sha256_bytes(kReportStyle))
      << "'; base-uri 'none'; form-action 'none'\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n"
         "<meta name=\"referrer\" content=\"no-referrer\">\n<title>"
      << html_text(document.title) << "</title>\n<style>" << kReportStyle
      << "</style>\n</head>\n<body>\n"
         "<a class=\"skip\" href=\"#content\">Skip to the report</a>\n"
         "<div class=\"layout\">\n<header>\n<h1>"
      << html_text(document.title) << "</h1>\n<p class=\"subtitle\">"
      << html_text(document.subtitle) << "</p>\n</header>\n";
}

void put_nav(const Document& document, std::ostream& out) {
  out << "<nav aria-label=\"Sections\"><ul>\n";
  for (const Section& section : document.sections) {
    out << "<li><a href=\"#" << html_text(section.id) << "\">"
        << html_text(section.title) << "</a></li>\n";
  }
  out << "</ul></nav>\n";
}

}  // namespace

std::string document_html(const Document& document) {
  std::ostringstream out;
  BlockWriter blocks(out);
  put_head(document, out);
  put_nav(document, out);
  out << "<main id=\"content\">\n";
  blocks.put_blocks(document.summary, 2);
  for (const Section& section : document.sections) {
    const std::string id = html_text(section.id);
    out << "<section aria-labelledby=\"" << id << "\">\n<h2 id=\"" << id
        << "\">" << html_text(section.title) << "</h2>\n";
    blocks.put_blocks(section.blocks, 3);
    out << "</section>\n";
  }
  out << "</main>\n<footer><p>" << html_text(document.footer)
      << "</p></footer>\n</div>\n</body>\n</html>\n";
  return out.str();
}

}  // namespace selfalign::report
