#include "report/report_style.h"

namespace selfalign::report {

const char kReportStyle[] = R"(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --raised: #f5f7f8; --ink: #1d2327; --muted: #56616b;
  --rule: #d8dee3; --accent: #1f6687; --pale: #c3d9e4; --warm: #a84a22; --bar: #4a8fb0;
  --h0: #f1f4f6; --h1: #dbe9f0; --h2: #b5d2e0; --h3: #82b3ca; --h4: #2f7294;
  --h5: #16506d; --t1: #1d2327; --t2: #1d2327; --t3: #11181c; --t4: #ffffff;
  --t5: #ffffff; --note: #fdf3e3; --note-rule: #d59a3b;
  --s0: #2f7294; --s1: #c3d9e4; --s2: #e4e0d8; --s3: #a84a22;
  --on-dark: #ffffff; --on-pale: #1d2327;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12171b; --raised: #1b2227; --ink: #e4e9ed; --muted: #a6b1bb;
    --rule: #333d45; --accent: #74b7d6; --pale: #2b4b5b; --warm: #eda077; --bar: #4d8fae;
    --h0: #1b2227; --h1: #1c333f; --h2: #22495c; --h3: #2c6580; --h4: #6fb0cd;
    --h5: #a9d6ea; --t1: #e4e9ed; --t2: #e4e9ed; --t3: #ffffff; --t4: #0d1417;
    --t5: #0d1417; --note: #2b2415; --note-rule: #b58534;
    --s0: #74b7d6; --s1: #2b4b5b; --s2: #3d3a33; --s3: #eda077;
    --on-dark: #0d1417; --on-pale: #e4e9ed;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "Liberation Sans", sans-serif;
  overflow-wrap: anywhere;
}
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px;
}
.skip {
  position: absolute; left: -100vw; top: 0; background: var(--paper);
  padding: .5rem 1rem; z-index: 2;
}
.skip:focus { left: 0; }
.layout { max-width: 80rem; margin: 0 auto; padding: 0 1.25rem 4rem; }
header { padding: 2.5rem 0 1rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; font-weight: 650; }
h2 {
  font-size: 1.4rem; line-height: 1.25; margin: 3.2rem 0 .8rem;
  padding-top: 1rem; border-top: 1px solid var(--rule); font-weight: 650;
}
h3 { font-size: 1.08rem; margin: 2rem 0 .5rem; font-weight: 650; }
h4 { font-size: 1rem; margin: 0 0 .5rem; font-weight: 650; }
p { max-width: 68ch; margin: 0 0 .9rem; }
.subtitle, footer { color: var(--muted); }
footer { margin-top: 3rem; border-top: 1px solid var(--rule);
  padding-top: 1rem; font-size: .88rem; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex;
  flex-wrap: wrap; gap: .15rem 1.1rem; font-size: .92rem; }
nav { margin-bottom: 1.2rem; }
nav a { text-decoration: none; display: inline-block; padding: .25rem 0; }
nav a:hover { text-decoration: underline; }
.note {
  background: var(--note); border-left: 4px solid var(--note-rule);
  padding: .7rem 1rem; max-width: 74ch; border-radius: 0 4px 4px 0;
}
.facts { display: grid; margin: 1.6rem 0 1.4rem; gap: 1.2rem .6rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
}
.facts div { border-left: 3px solid var(--rule); padding: 0 .9rem;
  display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.facts dt { color: var(--muted); font-size: .85rem; line-height: 1.3; }
.facts dd { margin: 0; font-size: 1.35rem; font-weight: 600; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.charts { display: grid; gap: 1.6rem 2rem; margin: 1rem 0 1.4rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
.charts.wide { grid-template-columns: minmax(0, 1fr); }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: .95rem; line-height: 1.35; }
figcaption span { display: block; font-weight: 400; color: var(--muted);
  font-size: .86rem; }
svg.chart { display: block; margin: .5rem 0 .3rem; }
figure > svg.chart { max-width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick { font-size: 11px; fill: var(--muted); }
svg .bar { fill: var(--bar); } svg .whole { fill: var(--pale); }
svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--muted); }
svg .whisker { stroke: var(--ink); stroke-width: 1.6; }
svg .reference { stroke: var(--warm); stroke-width: 1.8;
  stroke-dasharray: 4 3; }
svg .line { fill: none; stroke: var(--accent); stroke-width: 1.8;
  stroke-linejoin: round; }
svg .h0 { fill: var(--h0); } svg .h1 { fill: var(--h1); }
svg .h2 { fill: var(--h2); } svg .h3 { fill: var(--h3); }
svg .h4 { fill: var(--h4); } svg .h5 { fill: var(--h5); }
svg .heat { font-size: 11px; }
svg .s0 { fill: var(--s0); } svg .s1 { fill: var(--s1); }
svg .s2 { fill: var(--s2); } svg .s3 { fill: var(--s3); }
svg .on { font-size: 11px; fill: var(--on-dark); }
svg .s1t, svg .s2t { fill: var(--on-pale); }
svg .t1 { fill: var(--t1); } svg .t2 { fill: var(--t2); }
svg .t3 { fill: var(--t3); } svg .t4 { fill: var(--t4); }
svg .t5 { fill: var(--t5); }
.key { color: var(--muted); font-size: .86rem; margin: 0 0 .3rem; }
.key::before { content: ""; display: inline-block; width: 1.6em; height: 0;
  border-top: 2px dashed var(--warm); vertical-align: middle;
  margin-right: .5em; }
.scroll { overflow-x: auto; max-width: 100%; margin: .4rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.4; }
caption { text-align: left; color: var(--muted); padding: 0 0 .35rem;
  font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem .9rem .32rem 0;
  border-bottom: 1px solid var(--rule); max-width: 34rem; min-width: 3.2rem;
  overflow-wrap: break-word; }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; min-width: 7rem; }
.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
thead .number { white-space: normal; max-width: 10rem; }
details { margin: .4rem 0 .8rem; }
summary { cursor: pointer; color: var(--accent); padding: .2rem 0;
  font-size: .92rem; width: fit-content; max-width: 100%; }
details > :not(summary) { margin-left: .1rem; }
.cards { display: grid; gap: 1rem; align-items: start; margin: 0 0 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
.card { min-width: 0; border: 1px solid var(--rule); border-radius: 6px;
  padding: 1rem 1.1rem .6rem; }
.card > :first-child { margin-top: 0; }
.card > p, .card .label { font-size: .92rem; }
.label { color: var(--muted); font-size: .86rem; margin: .4rem 0 .2rem; }
pre { background: var(--raised); border-radius: 4px; margin: 0 0 .7rem;
  padding: .6rem .8rem; white-space: pre-wrap; font-size: .88rem;
  line-height: 1.5; }
pre.text { font-family: inherit; unicode-bidi: isolate; max-width: 80ch; }
pre.code { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono",
  "Liberation Mono", monospace; font-size: .82rem; }
@media (max-width: 36rem) {
  body { font-size: 15px; }
  .layout { padding: 0 .9rem 3rem; }
  header { padding-top: 1.5rem; }
  h1 { font-size: 1.55rem; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media print {
  nav, .skip { display: none; }
}
)";

}  // namespace selfalign::report
