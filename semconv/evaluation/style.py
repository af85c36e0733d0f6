"""The report page's style sheet: light and dark, system fonts only."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fcfbf8; --panel: #f5f3ee; --ink: #22242a; --muted: #686c75; --rule: #dedad2; --faint: #eae7e0;
  --generative: #1b5e9b; --collaborative: #a0561c; --reference: #767a82; --mark: #fdf0c4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --panel: #1c1f24; --ink: #e5e3dd; --muted: #9b9fa8; --rule: #363a42; --faint: #272a30;
    --generative: #7cb8ee; --collaborative: #e2a06b; --reference: #9296a0; --mark: #453c17;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 71rem; padding: 3.5rem 1.5rem 5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums lining-nums;
}
h1, h2, h3 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, Georgia, "DejaVu Serif", serif;
  font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: 2.25rem; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.375rem; margin: 3.5rem 0 .4rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .4rem 0 .9rem; max-width: 44rem; text-wrap: pretty; }
.eyebrow { margin: 0 0 .4rem; color: var(--muted); font-size: .8125rem; letter-spacing: .08em;
  text-transform: uppercase; }
.lead { font-size: 1.125rem; }
.note, figcaption { color: var(--muted); font-size: .875rem; }
.keys { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0 2rem; margin: 1.75rem 0 0;
  border-top: 1px solid var(--rule); }
.keys div { padding: .75rem 0 0; }
.keys dt { color: var(--muted); font-size: .8125rem; }
.keys dd { margin: 0; font-size: 1.375rem; }
.wide { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
caption { text-align: left; padding: 0 0 .5rem; font-weight: 600; font-size: .9375rem; }
th, td { padding: .45rem .45rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { padding-left: 0; text-align: left; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-bottom: 1px solid var(--ink); font-weight: 500; color: var(--muted); white-space: nowrap; }
tbody th { font-weight: 500; white-space: nowrap; }
td small { display: block; color: var(--muted); font-size: .6875rem; line-height: 1.35; white-space: nowrap;
  font-weight: 400; }
td b { font-weight: 700; }
.facts { width: auto; min-width: 24rem; }
.facts th, .facts td { padding-block: .25rem; }
.facts td { padding-left: 2rem; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.5rem 2.5rem;
  margin: 1.25rem 0; }
figure { margin: 0; }
.pair > figure:only-child { max-width: 33rem; }
figcaption { margin-bottom: .4rem; }
figcaption strong { color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; font-size: 12px; }
svg .grid { stroke: var(--faint); }
svg .tick, svg .axis { fill: var(--muted); font-size: 11px; }
svg .name { fill: var(--ink); }
svg .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke: currentColor; }
svg .mark, svg .bar { fill: currentColor; }
svg .ring { fill: var(--paper); stroke: currentColor; stroke-width: 1.6; }
svg .range { stroke: currentColor; stroke-width: 1.6; }
svg .leader { fill: none; stroke: var(--rule); }
svg .bar { color: var(--reference); }
.generative { color: var(--generative); } .collaborative { color: var(--collaborative); }
.reference { color: var(--reference); }
svg text.generative { fill: var(--generative); } svg text.collaborative { fill: var(--collaborative); }
svg text.reference { fill: var(--reference); }
svg .curve.second { stroke-dasharray: 6 3; } svg .curve.third { stroke-dasharray: 2 3; }
svg .curve.fourth { stroke-dasharray: 9 3 2 3; } svg .curve.fifth { stroke-dasharray: 12 4; }
svg .curve.sixth { stroke-dasharray: 1 4; } svg .curve.seventh { stroke-dasharray: 9 3 2 3 2 3; }
.user { border-top: 1px solid var(--rule); }
.user summary { font-weight: 400; }
.user .columns { margin: 1rem 0 1.5rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1.1rem 1.5rem; }
.columns h4 { margin: 0 0 .3rem; font-size: .8125rem; font-weight: 600; }
.columns ol { margin: 0; padding: 0; list-style: none; font-size: .8125rem; line-height: 1.4; }
.columns li { padding: .2rem 0; border-top: 1px solid var(--faint); overflow-wrap: anywhere; }
.columns li.hit { background: var(--mark); box-shadow: -.4rem 0 var(--mark), .4rem 0 var(--mark); font-weight: 600; }
.columns .history li { color: var(--muted); }
details { margin: .75rem 0; }
summary { cursor: pointer; font-weight: 500; }
summary:focus-visible { outline: 2px solid var(--generative); outline-offset: 3px; }
code { font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
@media print { body { padding: 0; max-width: none; } h2, .user { break-after: avoid; } .user { break-inside: avoid; } }
"""
