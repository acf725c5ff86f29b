"""How the page looks, and the one script on it: a click on a heading sorts a table."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1e21; --faint: #5f6670; --rule: #e2e4e8; --box: #f6f7f9;
  --alert: #a33a00; --blue: #0072b2; --red: #d55e00; --green: #009e73; --pink: #b5578f; --sky: #3a9bd6;
  --gold: #b88600 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171a; --ink: #e6e8eb; --faint: #9aa2ad; --rule: #2d3137; --box: #1d2024; --alert: #ff9d66;
    --blue: #56b4e9; --red: #ff8a3d; --green: #2fc79a; --pink: #e39bc6; --sky: #9fd4f5; --gold: #f0c04a }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", sans-serif; overflow-wrap: break-word }
main, header, footer { max-width: 1160px; margin: 0 auto; padding: 0 20px }
header { padding-top: 36px }
h1 { font-size: 27px; line-height: 1.25; font-weight: 650; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere }
h2 { font-size: 18px; font-weight: 650; margin: 0 0 14px }
h3 { font-size: 15px; font-weight: 600; margin: 18px 0 8px }
p { margin: 0 0 10px; max-width: 76ch }
section { padding: 26px 0 18px; border-top: 1px solid var(--rule) }
.subtitle, .small, footer { color: var(--faint) }
.small, footer { font-size: 13px }
footer { padding-top: 14px; padding-bottom: 40px; border-top: 1px solid var(--rule) }
.note { border-left: 3px solid var(--alert); background: var(--box); padding: 9px 14px; margin: 14px 0 }
dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 16px 20px;
  margin: 22px 0 26px }
dl.facts dt { color: var(--faint); font-size: 13px } dl.facts dd { margin: 0; font-size: 19px; font-weight: 600;
  font-variant-numeric: tabular-nums; line-height: 1.3 }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(310px, 100%), 1fr)); gap: 24px 26px;
  margin-bottom: 14px }
figure { margin: 0; min-width: 0 } figcaption { font-weight: 600; font-size: 14px; margin-bottom: 4px }
figure.wide { margin-bottom: 22px }
svg { display: block; width: 100%; height: auto }
svg text { font-family: inherit; fill: var(--faint) }
.tick { font-size: 11.5px; font-variant-numeric: tabular-nums } .end { text-anchor: end }
.middle { text-anchor: middle }
.rule { stroke: var(--rule); stroke-width: 1 } .axis { stroke: var(--faint); stroke-width: 1 }
.c0 { --c: var(--blue) } .c1 { --c: var(--red) } .c2 { --c: var(--green) } .c3 { --c: var(--pink) }
.c4 { --c: var(--sky) } .c5 { --c: var(--gold) }
.line { stroke: var(--c); fill: none; stroke-width: 1.8; stroke-linejoin: round }
.line.c1 { stroke-dasharray: 7 3 } .line.c2 { stroke-dasharray: 2 3 } .line.c3 { stroke-dasharray: 9 3 2 3 }
.line.c4 { stroke-dasharray: 4 2 } .line.c5 { stroke-dasharray: 12 4 }
.dot { fill: var(--c); stroke: transparent; stroke-width: 9; paint-order: stroke } .dot:hover { stroke: var(--rule) }
.dot.stopped { fill: var(--paper); stroke: var(--c); stroke-width: 1.6 }
.cross { stroke: var(--alert); stroke-width: 1.8; fill: none } .mark { stroke: var(--faint); stroke-dasharray: 3 3 }
.part { fill: var(--c) } .trough { fill: var(--rule) }
.box { fill: var(--c); fill-opacity: .28; stroke: var(--c) } .whisker { stroke: var(--c) }
.median { stroke: var(--c); stroke-width: 2.4 }
svg.stack { height: 30px; border-radius: 4px }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--faint); margin-top: 4px }
.entry { display: inline-flex; align-items: center; gap: 6px } .sample { width: 22px; height: 10px; flex: none }
figure.wide .sample { width: 10px }
.bar { display: grid; grid-template-columns: minmax(84px, 22%) 1fr minmax(84px, auto); gap: 12px; align-items: center;
  padding: 3px 0; font-size: 14px } .bar svg { height: 12px; border-radius: 3px }
.bar .label { overflow-wrap: anywhere } .bar .value { text-align: right; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto; margin: 6px 0 14px }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }
th, td { padding: 5px 14px 5px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule) }
th { font-weight: 600; color: var(--faint); vertical-align: bottom } td.left, th.left { text-align: left }
td.long { white-space: normal; min-width: 26ch; text-align: left }
tr.best td { font-weight: 650 } td .small { font-weight: 400 }
th button { all: unset; cursor: pointer; font: inherit } th button:focus-visible { outline: 2px solid var(--blue) }
th[aria-sort=ascending] button::after { content: " \\2191" }
th[aria-sort=descending] button::after { content: " \\2193" }
pre { background: var(--box); padding: 12px 14px; overflow-x: auto; font: 13px/1.5 ui-monospace, Menlo, Consolas,
  "DejaVu Sans Mono", monospace; margin: 6px 0 12px; border-radius: 4px }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere }
details { margin: 14px 0 } summary { cursor: pointer; font-weight: 600; font-size: 14px }
details > div { padding-top: 12px }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px }
"""

SORT = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentNode, body = head.closest("table").tBodies[0], place = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[place].dataset.value;
  const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  const rows = [...body.rows].sort((a, b) => !value(a) - !value(b)
    || compare(value(a), value(b)) * (down ? -1 : 1));
  body.append(...rows);
});
"""
