// SPDX-License-Identifier: Apache-2.0
#include "report/report_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "report/markup.h"
#include "text/words.h"

namespace selfalign::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] =
    "</pre></style></title><script>alert(1)</script><img src=x onerror=y>"
    "\" onclick='z' | `` ``` [a](javascript:b) \xff\xfe\x00 \xe2\x80\xae & "
    "&lt;";

Document hostile_document() {
  const std::string bad(kHostile, sizeof kHostile - 1);
  const BarChart chart{bad, bad, Unit::kShare, {{bad, 0.5}}, 0.2, bad};
  const Table rows{bad, {bad, bad}, {{bad, bad}, {bad, "1"}}};
  Document document{bad, bad, {note(bad)}, {}, bad};
  document.sections.push_back(
      {"first",
       bad,
       {heading(bad), paragraph(bad), facts({{bad, bad}}), table(rows),
        charts({chart}), text_block(bad, bad), code(bad, bad),
        details(bad, {text_block(bad, bad)}), card(bad, {paragraph(bad)})}});
  return document;
}

TEST(Markup, CleansWhatIsNoTextAndEscapesTheRest) {
  EXPECT_EQ(clean_text("a\r\nb\rc\x01\xff"), "a\nb\nc\ufffd\ufffd");
  EXPECT_EQ(clean_text("\u202e\u2066\u0085"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(html_text("<a href=\"x\">'&"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  EXPECT_EQ(markdown_text("a|b\n*c* <d>"), "a\\|b \\*c\\* \\<d\\>");
  EXPECT_EQ(markdown_block("x ```` y"), "`````text\nx ```` y\n`````\n");
  EXPECT_EQ(shorten("äöü", 2), "äö…");
  EXPECT_EQ(shorten("äöü", 3), "äöü");
}

TEST(Document, HostileTextStaysTextInHtml) {
  const std::string html = document_html(hostile_document());
  EXPECT_TRUE(text::is_valid_utf8(html));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, Not(HasSubstr("</pre></style>")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_EQ(html.find('\0'), std::string::npos);
  EXPECT_THAT(html, Not(HasSubstr("\u202e")));
}

TEST(Document, HostileTextStaysTextInMarkdown) {
  const std::string markdown = document_markdown(hostile_document());
  EXPECT_TRUE(text::is_valid_utf8(markdown));
  EXPECT_THAT(markdown, HasSubstr("````text\n</pre>"));
  // Outside of the fences every bracket is escaped.
  EXPECT_THAT(markdown, HasSubstr("| \\</pre\\>"));
  EXPECT_THAT(markdown, Not(HasSubstr("| </pre")));
}

TEST(Document, AsksForNothingAndAllowsItsOwnStyleAlone) {
  const std::string html = document_html(hostile_document());
  const size_t begin = html.find("<style>") + 7;
  const std::string style = html.substr(begin, html.find("</style>") - begin);
  const std::string name = "sha256-";
  const size_t at = html.find(name) + name.size();
  const std::string hash = html.substr(at, html.find('\'', at) - at);
  EXPECT_EQ(hash.size(), 44u);
  // Checked with another program's base64 where there is one.
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/style.css";
  write_file_atomic(path, style);
  if (std::system("command -v openssl >/dev/null") == 0) {
    EXPECT_EQ(std::system(("test \"$(openssl dgst -sha256 -binary '" + path +
                           "' | openssl base64)\" = '" + hash + "'")
                              .c_str()),
              0);
  }
  for (const char* what : {"http://", "https://", "url(", "@import",
                           " src=", " style=", "javascript:b\""}) {
    EXPECT_THAT(style, Not(HasSubstr(what)));
  }
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

// As a browser's: every element is closed in its order, headings leave out no
// level, ids are there once and all that is referred to is there.
constexpr char kChecker[] = R"~(
import html.parser, re, sys
VOID = {"meta", "br", "img", "hr", "link", "input"}
class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.refs, self.level, self.bad = [], [], [], 0, []
    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for name, value in attrs.items():
            if name.startswith("on") or name in ("style", "src"):
                self.bad.append(f"<{tag} {name}>")
        if tag in ("script", "iframe", "object", "img", "form"):
            self.bad.append(f"<{tag}>")
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.refs += attrs.get("aria-labelledby", "").split()
        if attrs.get("href", "").startswith("#"):
            self.refs.append(attrs["href"][1:])
        elif "href" in attrs:
            self.bad.append(f"<{tag} href>")
        if re.fullmatch("h[1-6]", tag):
            if int(tag[1]) > self.level + 1:
                self.bad.append(f"{tag} after h{self.level}")
            self.level = int(tag[1])
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(f"</{tag}> out of order")
checker = Checker()
text = open(sys.argv[1], encoding="utf-8").read()
checker.feed(text)
checker.close()
bad = checker.bad + [f"open: {tag}" for tag in checker.open]
bad += [f"id twice: {i}" for i in checker.ids if checker.ids.count(i) > 1]
bad += [f"no id: {r}" for r in checker.refs if r not in checker.ids]
if not text.startswith("<!DOCTYPE html>\n<html lang="):
    bad.append("no doctype or language")
print("\n".join(bad))
sys.exit(bool(bad))
)~";

TEST(Document, IsWellFormedToAParser) {
  if (std::system("python3 -c 'import html.parser' 2>/dev/null") != 0) {
    GTEST_SKIP() << "python3 with html.parser is not there";
  }
  const ScratchFolder scratch;
  const std::string folder = scratch.path();
  write_file_atomic(folder + "/check.py", kChecker);
  write_file_atomic(folder + "/page.html", document_html(hostile_document()));
  EXPECT_EQ(std::system(
                ("python3 '" + folder + "/check.py' '" + folder + "/page.html'")
                    .c_str()),
            0);
  // The checker can tell.
  write_file_atomic(folder + "/page.html",
                    "<!DOCTYPE html>\n<html lang=\"en\"><p><b></p></html>");
  EXPECT_NE(std::system(("python3 '" + folder + "/check.py' '" + folder +
                         "/page.html' >/dev/null")
                            .c_str()),
            0);
}

TEST(Document, MarkdownHasTheTablesOfCharts) {
  Document document{"T", "s", {}, {}, "f"};
  document.sections.push_back(
      {"a",
       "A",
       {charts({BarChart{.title = "Loss",
                         .description = "",
                         .unit = Unit::kNumber,
                         .bars = {{"engraved", 0.25}}}})}});
  Block folded = details("Items", {paragraph("many")});
  folded.only_html = true;
  document.sections[0].blocks.push_back(folded);
  const std::string markdown = document_markdown(document);
  EXPECT_THAT(markdown, HasSubstr("## A\n"));
  EXPECT_THAT(markdown, HasSubstr("**Loss**\n\n|  | value |\n|---|---|\n"
                                  "| engraved | 0.250 |\n"));
  EXPECT_THAT(markdown, Not(HasSubstr("many")));
  EXPECT_THAT(document_html(document), HasSubstr("many"));
}

}  // namespace
}  // namespace selfalign::report
