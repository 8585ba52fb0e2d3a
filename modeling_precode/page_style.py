"""How the web page of labelled dialogues looks: for a phone first, and with two columns where there is room."""

STYLE = """\
:root {
  --page: #f6f6f3; --surface: #ffffff; --text: #1c1d22; --quiet: #5d6069; --line: #dcdcd6;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: var(--text); background: var(--page); color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #14151a; --surface: #1e2027; --text: #ececf0; --quiet: #a3a6b1; --line: #343741; }
}
* { box-sizing: border-box; margin: 0 }
body { max-width: 73rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere }
header.page { margin-bottom: 2rem }
h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -.015em; margin-bottom: .4rem }
header.page p { color: var(--quiet); max-width: 44rem }
header.page b { color: var(--text); font-weight: 600 }
section { margin-bottom: 3rem; content-visibility: auto; contain-intrinsic-size: auto 60rem }
h2 { font-size: 1.1rem; padding-bottom: .5rem; margin-bottom: 1rem; border-bottom: 1px solid var(--line) }
small { font-size: .8rem; font-weight: 400; color: var(--quiet) }
.dot { display: inline-block; width: .6em; height: .6em; margin-right: .45em; border-radius: 50%;
  background: var(--emotion) }

.plots { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; margin-bottom: 1.5rem }
.plots p { grid-column: 1 / -1; font-size: .8rem; color: var(--quiet) }
figure:last-child:nth-child(even) { grid-column: 1 / -1 }
figure { padding: .5rem .65rem .65rem; background: var(--surface); border: 1px solid var(--line);
  border-radius: .6rem; min-width: 0 }
figcaption { display: flex; align-items: baseline; font-size: .85rem; font-weight: 600; margin-bottom: .45rem }
figcaption .dot { flex: none }
figcaption small { margin-left: auto; padding-left: .5rem; white-space: nowrap }
.plot { position: relative; height: 3rem; border-bottom: 1px solid var(--line) }
svg { display: block; width: 100%; height: 100%; overflow: visible }
polygon { fill: var(--emotion); opacity: .16 }
polyline { fill: none; stroke: var(--emotion); stroke-width: 2; stroke-linejoin: round;
  vector-effect: non-scaling-stroke }
.middle { stroke: var(--line); stroke-dasharray: 2 4; vector-effect: non-scaling-stroke }
.plot a { position: absolute; width: 1.4rem; height: 1.4rem; transform: translate(-50%, -50%) }
.plot a::after { content: ""; position: absolute; inset: calc(50% - .28rem); border-radius: 50%;
  background: var(--emotion); border: 2px solid var(--surface); box-sizing: content-box; margin: -2px }
.plot a:hover::after, .plot a:focus-visible::after { inset: calc(50% - .4rem) }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--text); outline-offset: 2px;
  border-radius: .3rem }

.dialogue { list-style: none; padding: 0 }
.dialogue li { margin-bottom: .5rem; scroll-margin-top: 1rem }
.speaker { font-size: .8rem; font-weight: 600; color: var(--quiet); margin: 1.1rem 0 .25rem }
li:first-child .speaker { margin-top: 0 }
.text { padding: .6rem .85rem; border-left: 4px solid var(--emotion); border-radius: .3rem .6rem .6rem .3rem;
  background: var(--surface); background: color-mix(in srgb, var(--emotion) 10%, var(--surface)) }
.text i { color: var(--quiet) }
.label { display: flex; align-items: baseline; font-size: .8rem; line-height: 1.4; padding: .25rem .2rem 0 .9rem;
  font-variant-numeric: tabular-nums }
.label .dot { flex: none }
.place { flex: none; margin-left: auto; padding-left: .5rem; color: var(--quiet) }
li:target .text { box-shadow: 0 0 0 2px var(--emotion) }

details { margin-top: 1rem; font-size: .85rem }
summary { cursor: pointer; color: var(--quiet); padding: .25rem 0 }
.scroll { overflow-x: auto; margin-top: .5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; background: var(--surface) }
th, td { padding: .3rem .7rem; text-align: right; border: 1px solid var(--line); white-space: nowrap }
th { font-weight: 500; color: var(--quiet) }
.best { font-weight: 700 }

@media (min-width: 56rem) {
  body { padding-top: 3rem }
  h1 { font-size: 2rem }
  .columns { display: grid; grid-template-columns: minmax(0, 1fr) 22rem; gap: 2.5rem; align-items: start }
  .plots { order: 2; grid-template-columns: 1fr; position: sticky; top: 1rem; gap: .4rem;
    max-height: calc(100vh - 2rem); overflow-y: auto }
  figure { padding: .4rem .65rem .5rem }
  .dialogue li { display: grid; grid-template-columns: minmax(0, 1fr) 10rem; column-gap: 1rem; align-items: center }
  .speaker { grid-column: 1 / -1 }
  .label { padding: 0; font-size: .85rem }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth } }
@media print { .plots { position: static; max-height: none } section { content-visibility: visible } }
"""
