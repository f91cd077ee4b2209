"""The style of the report: light and dark, from the phone to the desktop."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --raised: #f6f7f9; --ink: #1a1d21; --faint: #565d66; --line: #d5d9df; --link: #0b57b0;
  --confirmed: #1a6b34; --confirmed-if: #0b6374; --supported: #46641a;
  --misprint: #7d5200; --refuted: #a3243b; --open: #6a3aa8; --partial: #565d66;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --raised: #1e2227; --ink: #e6e8eb; --faint: #a2a9b3; --line: #3a4049; --link: #8ab8f5;
    --confirmed: #74cf92; --confirmed-if: #6ecbdd; --supported: #b0d07a;
    --misprint: #e5b95c; --refuted: #f2909f; --open: #c5a5f2; --partial: #a2a9b3;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .25rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .5rem 0; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
code { font: .875em ui-monospace, monospace; }
math { font-size: 1.2em; }
math[display=block] { width: max-content; margin: 0; text-align: left; }
mtable.lines > mtr > mtd { text-align: left; padding: .2em 0; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
.faint, dt, caption, figcaption { color: var(--faint); }
.verdict { font-weight: 600; white-space: nowrap; color: var(--colour); }
.scroll { overflow-x: auto; max-width: 100%; padding: .35rem 0; }
.inline { display: inline-block; padding: 0; overflow-y: hidden; vertical-align: middle; }
.provenance { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .75rem; margin: .5rem 0; }
.provenance dd { margin: 0; min-width: 0; }
form { background: var(--raised); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem;
  margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: end; }
form[hidden] { display: none; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem;
  flex-basis: 100%; min-width: 0; }
legend { padding: 0; font-weight: 600; }
form label { min-width: 0; }
.field { display: grid; gap: .15rem; flex: 1 1 14rem; }
select, input[type=search], button { font: inherit; width: 100%; min-width: 0; height: 2.2rem;
  padding: .2rem .5rem; border: 1px solid var(--faint); border-radius: .3rem;
  background: var(--paper); color: inherit; }
button { width: auto; cursor: pointer; }
output { flex-basis: 100%; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { overflow-wrap: normal; }
.verdicts th[scope=row] { font-weight: 400; min-width: 6rem; overflow-wrap: anywhere; }
article { border: 1px solid var(--line); border-radius: .4rem; padding: .75rem; margin: .75rem 0;
  border-left: .3rem solid var(--colour); }
article:target { background: var(--raised); }
article header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; }
.label { font-weight: 600; }
p.label { margin-bottom: 0; }
details { margin: .5rem 0 0; }
summary { cursor: pointer; }
.evidence td { min-width: 5rem; overflow-wrap: normal; }
.evidence td.long { min-width: 15rem; }
figure { margin: 1.5rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; padding: .5rem;
  border-radius: .3rem; }
[hidden] { display: none !important; }
@media (max-width: 40rem) {
  body { padding: .75rem; }
  .provenance { grid-template-columns: 1fr; }
  .verdicts .wide, .verdicts thead { display: none; }
  .verdicts tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0; }
  .verdicts th, .verdicts td { display: inline-block; border: 0; padding: 0 .75rem 0 0; }
  .verdicts td.title { display: block; }
}
@media print { form, .skip { display: none; } article { break-inside: avoid; } }
"""
