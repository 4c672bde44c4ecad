// Review by keyboard: move, accept, return, open, mark; and what a press of a button leaves behind.
import { bindKeys } from "./keyboard.js";
import { wordDiff } from "./rank-diff.js";

const ANSWER = "[data-answer]";
const answers = () => [...document.querySelectorAll(ANSWER)];
let place = 0;

const current = () => document.activeElement?.closest(ANSWER) ?? null;

function focus(answer) {
  if (!answer) return false;
  (answer.querySelector("[data-open]") ?? answer).focus();
  answer.scrollIntoView({ block: "nearest" });
  return true;
}

function step(by) {
  if (document.querySelector("tr[data-answer]")) return false; // the rows of a table are stepped through in app.js
  const all = answers();
  const at = all.indexOf(current());
  return focus(all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))]);
}

// Without a chosen answer the first press chooses the first, so that nothing is accepted unseen.
function press(what) {
  const answer = current();
  if (!answer) return focus(answers()[0]);
  const button = answer.querySelector(`[data-do=${what}]`);
  if (!button) return false;
  place = answers().indexOf(answer);
  button.click();
  if (what === "return") answer.querySelector("textarea")?.focus();
  return true;
}

function follow(selector, within = document) {
  const link = within?.querySelector(selector);
  link?.click();
  return Boolean(link);
}

bindKeys({
  j: () => step(1),
  k: () => step(-1),
  a: () => press("accept"),
  x: () => press("return"),
  t: () => press("take_up"),
  o: () => follow("[data-open]", current()),
  m: () => {
    const box = current()?.querySelector("[name=answer]");
    box?.click();
    return Boolean(box);
  },
  n: () => follow("[data-next]"),
});

// Esc leaves the comment; Ctrl+Enter sends it.
document.addEventListener("keydown", (event) => {
  const panel = event.target.closest?.(".return");
  if (!panel) return;
  if (event.key === "Escape") {
    panel.open = false;
    focus(panel.closest(ANSWER));
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    panel.querySelector("button").click();
  } else return;
  event.preventDefault();
});

function count() {
  const boxes = [...document.querySelectorAll("[name=answer]")];
  const marked = boxes.filter((box) => box.checked);
  for (const box of boxes) box.closest("tr").toggleAttribute("data-marked", box.checked);
  const all = document.querySelector("[data-all]");
  const button = document.querySelector("[data-bulk]");
  if (!all || !button) return;
  all.checked = boxes.length > 0 && marked.length === boxes.length;
  all.indeterminate = marked.length > 0 && !all.checked;
  all.disabled = boxes.length === 0;
  button.disabled = marked.length === 0;
  const words = `${marked.length} answer${marked.length === 1 ? "" : "s"}`;
  button.querySelector("[data-count]").textContent = marked.length ? words : "the marked answers";
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll("[name=answer]")) box.checked = event.target.checked;
  }
  count();
});

// An edit is shown as what changed, word by word.
function showChanges() {
  for (const box of document.querySelectorAll("[data-diff]")) {
    const before = document.getElementById(box.dataset.diff)?.content.textContent ?? "";
    const parts = wordDiff(before, box.textContent).map(({ kind, text }) => {
      const part = kind === "same" ? document.createTextNode(text) : document.createElement(kind);
      if (kind !== "same") part.textContent = text;
      return part;
    });
    box.removeAttribute("data-diff");
    box.replaceChildren(...parts);
  }
}

document.addEventListener("htmx:beforeRequest", () => {
  const at = answers().indexOf(current());
  if (at >= 0) place = at;
});

// Comments that are written while another answer's step travels stay, with the cursor in them: else the next letters
// would be keys, and "a" accepts.
let comments = [];

document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  comments = [...target.querySelectorAll(".return[open] textarea")].map((field) => (
    { id: field.id, words: field.value, at: field === document.activeElement ? field.selectionEnd : null }
  ));
});

function restoreComments() {
  let writing = false;
  for (const { id, words, at } of comments) {
    const field = document.getElementById(id);
    if (!field) continue;
    field.closest("details").open = true;
    field.value = words;
    if (at === null) continue;
    field.focus();
    field.setSelectionRange(at, at);
    writing = true;
  }
  comments = [];
  return writing;
}

document.addEventListener("htmx:afterSwap", (event) => {
  count();
  showChanges();
  const posted = event.detail.requestConfig?.verb === "post";
  if (!restoreComments() && posted) focus(answers()[Math.min(place, answers().length - 1)]);
});

count();
showChanges();
