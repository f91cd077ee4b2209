"""The report's script: filters, kept in the address, and boxes that scroll by the keyboard.

Without it everything is shown and the filters are not.
"""

SCRIPT = """
"use strict";
const form = document.getElementById("filters");
const statements = [...document.querySelectorAll("article")].map(article => ({
  article,
  line: document.getElementById("line-" + article.id),
  text: article.dataset.text.toLowerCase(),
}));
const boxes = [...form.elements.verdict];

let waiting;

function filter() {
  const verdicts = new Set(boxes.filter(box => box.checked).map(box => box.value));
  const section = form.elements.section.value;
  const words = form.elements.text.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const {article, line, text} of statements) {
    const fits = (!verdicts.size || verdicts.has(article.dataset.verdict))
      && (!section || article.dataset.section === section)
      && words.every(word => text.includes(word));
    article.hidden = line.hidden = !fits;
    shown += fits;
  }
  for (const part of document.querySelectorAll("main > section.part"))
    part.hidden = !part.querySelector("article:not([hidden])");
  document.getElementById("count").textContent = `${shown} of ${statements.length} statements`;
  clearTimeout(waiting);
  waiting = setTimeout(reach, 300);  // it needs the layout, which a reader who types should not wait for
}

// What scrolls can be reached by the keyboard, what does not is no stop on the way.
function reach() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

// #verdict=refuted&section=...&text=... is a choice of filters, #thm-4.1 a statement.
function read() {
  const hash = decodeURIComponent(location.hash.slice(1));
  if (hash.includes("=")) {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const box of boxes) box.checked = asked.getAll("verdict").includes(box.value);
    form.elements.section.value = asked.get("section") ?? "";
    form.elements.text.value = asked.get("text") ?? "";
  }
  const target = hash && document.getElementById(hash);
  if (target && target.closest("[hidden]")) form.reset();
  filter();
  if (target) target.scrollIntoView();
}

function write() {
  const chosen = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...chosen]) if (!value) chosen.delete(name, value);
  history.replaceState(null, "", "#" + chosen);
  filter();
}

form.hidden = false;
form.addEventListener("input", write);
form.addEventListener("submit", event => event.preventDefault());
document.getElementById("clear").addEventListener("click", () => { form.reset(); write(); });
addEventListener("hashchange", read);
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);
read();
"""
