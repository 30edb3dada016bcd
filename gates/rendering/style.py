"""How our pages look: one stylesheet, for the report by itself and for the status page. It loads nothing."""

STYLE = """\
:root { color-scheme: light dark; --page: #fff; --ink: #1c1e21;
        --line: color-mix(in srgb, currentColor 16%, transparent);
        --soft: color-mix(in srgb, currentColor 64%, transparent); --good: #146c3f; --bad: #b3261e; --wait: #7a5600;
        --good-back: #e3f4ea; --bad-back: #fbe7e5; --wait-back: #fbf0d4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --ink: #e3e5e8; --good: #6bdca3; --bad: #ff9a91; --wait: #f2c14e;
          --good-back: #12301f; --bad-back: #3a1a18; --wait-back: #33280c; }
}
body { background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; max-width: 62rem;
       margin: 0 auto; padding: 1.25rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; line-height: 1.3; margin: 1.6rem 0 .5rem; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1.8rem 0 .4rem; }
.lead { font-size: 1.05rem; margin: .4rem 0; }
.soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
         font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; }
.facts { width: auto; min-width: min(30rem, 100%); margin: .8rem 0; }
.facts th { padding-right: 1.6rem; }
.pass, .done { color: var(--good); } .fail, .failed { color: var(--bad); } .undecided, .skipped { color: var(--wait); }
code { font: 13px/1.5 ui-monospace, monospace; }
summary { cursor: pointer; color: var(--soft); }
a:focus-visible, summary:focus-visible { outline: 2px solid; outline-offset: 2px; }
.report > p { margin: .4rem 0; max-width: 46rem; }
.report ul { margin: .4rem 0; padding: 0; list-style: none; max-width: 46rem; }
.report li + li { margin-top: .35rem; }
.badge { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; font-size: .85rem; font-weight: 600;
         white-space: nowrap; }
.badge.pass { background: var(--good-back); } .badge.fail { background: var(--bad-back); }
.badge.undecided { background: var(--wait-back); }
.report details { margin: 1.2rem 0; border-top: 1px solid var(--line); padding-top: .6rem; }
.report details + details { margin-top: 0; }
.report summary { font-size: .95rem; font-weight: 600; }
.report .cards td:first-child { min-width: 6.5rem; }
.drawn { white-space: nowrap; }
svg.span { width: 7rem; height: .9rem; vertical-align: -.1rem; margin-right: .7rem; }
.span .axis { stroke: var(--line); } .span .zero { stroke: var(--soft); }
.span .reach { stroke: currentColor; stroke-width: 2; }
.span .mean { fill: currentColor; } .span.better { color: var(--good); } .span.worse { color: var(--bad); }
.span.open { color: var(--soft); }
.said { margin: 1rem 0; padding-left: .9rem; border-left: 3px solid var(--line); }
.said dt { color: var(--soft); font-size: .85rem; }
.said dd { margin: 0 0 .5rem; white-space: pre-wrap; unicode-bidi: isolate; }
@media (max-width: 66rem) { svg.span { display: block; } .drawn { white-space: normal; } }
@media (max-width: 44rem) {
  .cards thead { display: none; } .cards, .cards tbody, .cards tr, .cards td { display: block; }
  .cards tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .cards td { border: 0; padding: .1rem 0; text-align: left; }
  .cards td:first-child { font-weight: 600; }
  .cards td[data-label]:not(:first-child)::before { content: attr(data-label) ": "; color: var(--soft); }
  .facts, .facts tbody, .facts tr, .facts th, .facts td { display: block; }
  .facts tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .facts th, .facts td { border: 0; padding: 0; white-space: normal; } .facts .number { text-align: left; }
}
@media print { .report details > * { display: block; } }
"""
