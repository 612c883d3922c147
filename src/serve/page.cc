#include "serve/page.h"

namespace selfalign::serve {
namespace {

constexpr char kHtml[] = R"page(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';
  script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;
  base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>selfalign</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
</head>
<body>
<a class="skip" href="#question">Skip to the question</a>
<header>
<h1>selfalign</h1>
<div class="models">
<label for="model">Model</label> <select id="model"></select>
<label for="other">beside</label> <select id="other"></select>
<button type="button" id="new">New chat</button>
</div>
<details>
<summary>Settings</summary>
<form class="settings" id="settings">
<label for="temperature">Temperature</label>
<input id="temperature" type="number" min="0" max="2" step="0.1"
  placeholder="as the model has it">
<label for="top_p">Top-p</label>
<input id="top_p" type="number" min="0.01" max="1" step="0.01"
  placeholder="as the model has it">
<label for="max_tokens">Most tokens</label>
<input id="max_tokens" type="number" min="1" max="1000000"
  placeholder="as the model has it">
<label for="seed">Seed</label>
<input id="seed" type="number" min="0" max="9007199254740991"
  placeholder="another each time">
<label for="system">System message</label>
<textarea id="system" rows="3"
  placeholder="in place of the prompt the model was tuned under"></textarea>
<label for="key">Key</label>
<input id="key" type="password" autocomplete="off"
  placeholder="if the server has one; kept in this page alone">
</form>
</details>
</header>
<main>
<p id="status" role="status"></p>
<div id="turns" role="log" aria-label="Chat" tabindex="0"></div>
<form id="ask">
<label class="hidden" for="question">Your message</label>
<textarea id="question" rows="2" required
  placeholder="Enter sends, Shift and Enter begin a new line"></textarea>
<button type="submit" id="send">Send</button>
<button type="button" id="stop" hidden>Stop</button>
</form>
</main>
</body>
</html>
)page";

constexpr char kStyle[] = R"page(:root {
  color-scheme: light dark;
  --paper: #ffffff; --raised: #f3f6f8; --ink: #1d2327; --muted: #56616b;
  --rule: #8a959e; --accent: #1f6687; --on-accent: #ffffff; --warm: #a84a22;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12171b; --raised: #1d252b; --ink: #e4e9ed; --muted: #a6b1bb;
    --rule: #6b7881; --accent: #74b7d6; --on-accent: #0d1417; --warm: #eda077;
  }
}
* { box-sizing: border-box; }
html { height: 100%; }
body {
  margin: 0 auto; max-width: 76rem; height: 100%; padding: 0 1rem;
  display: flex; flex-direction: column;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans",
    "Liberation Sans", sans-serif;
}
header { padding: .6rem 0; border-bottom: 1px solid var(--rule); }
h1 { font-size: 1.1rem; margin: 0 1rem .3rem 0; float: left; }
.models { display: flex; flex-wrap: wrap; gap: .4rem .6rem;
  align-items: center; }
details { clear: both; }
summary { color: var(--muted); padding: .3rem 0; }
.settings { display: grid; gap: .4rem .8rem; align-items: center;
  grid-template-columns: max-content minmax(0, 30rem); }
input, select, textarea, button { font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--rule);
  border-radius: 6px; padding: .3rem .6rem; }
select { max-width: 14rem; }
button { cursor: pointer; }
button[type=submit] { background: var(--accent); color: var(--on-accent);
  border-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
main { flex: 1; min-height: 0; display: flex; flex-direction: column; }
#status { color: var(--warm); margin: .4rem 0; }
#status:empty { margin: 0; }
#turns { flex: 1; overflow-y: auto; padding: .5rem 0; }
.user { margin: .8rem 0 .5rem auto; max-width: 85%; width: fit-content;
  background: var(--raised); border-radius: 10px; padding: .5rem .8rem; }
.answers { display: grid; gap: 1rem; }
.answers.two { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.user, .text { white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { font-size: .9rem; margin: 0; color: var(--accent); }
.text { margin: .1rem 0; min-height: 1.5em; }
.facts { color: var(--muted); font-size: .82rem; margin: 0; }
.failed { color: var(--warm); }
#ask { display: flex; gap: .6rem; padding: .7rem 0; align-items: end;
  border-top: 1px solid var(--rule); }
#ask textarea { flex: 1; min-width: 0; resize: vertical; }
.hidden, .skip:not(:focus) { position: absolute; left: -100vw; }
@media (max-width: 40rem) {
  .answers.two { grid-template-columns: 1fr; }
  h1 { float: none; }
  .settings { grid-template-columns: 1fr; }
}
)page";

}  // namespace

const std::vector<PageFile>& page_files() {
  static const std::vector<PageFile> files = {
      {"/", "text/html; charset=utf-8", kHtml},
      {"/page.css", "text/css; charset=utf-8", kStyle},
      {"/page.js", "text/javascript; charset=utf-8", kPageScript}};
  return files;
}

const PageFile* find_page_file(const std::string& path) {
  for (const PageFile& file : page_files()) {
    if (path == file.path) return &file;
  }
  return nullptr;
}

}  // namespace selfalign::serve
