// Marking: what is selected becomes a mark of a kind; the mark in hand is changed, linked and removed.
import { draw } from "./rank-rag-draw.js";
import { drawNotes, kindWords, reveal } from "./rank-rag-notes.js";
import { pageRange, rawRange, sentencesOf, textOf, wordsOf } from "./rank-rag-offsets.js";
import { add, allRoots, answerBox, currentSpan, dismiss, drop, isError, meets, openCandidates, shownRoot, state, store } from "./rank-rag-state.js";
import { showTriad } from "./rank-rag-triad.js";
import { keyWords, keysOf } from "./rank-keymap.js";
import { task, tell } from "./rank-page.js";

const say = (words) => (document.getElementById("said").textContent = words);
/** Say why something cannot be done; the key was meant for it all the same. */
export const refuse = (words) => tell(words, { bad: true }) ?? true;
/** How a key of this person is written. */
export const key = (name) => keyWords(keysOf(task())[name]);

/** Draw all that follows from the state. */
export function drawAll() {
  const { spans, current, candidates, candidate } = state();
  const open = openCandidates();
  const marks = [
    ...spans.map((span, n) => ({ start: span.start, end: span.end, span: n, sort: isError(span) ? "error" : "supported", current: n === current })),
    ...open.map((n) => ({ start: candidates[n].start, end: candidates[n].end, candidate: n, current: n === candidate })),
  ];
  for (const root of allRoots()) draw(root, marks);
  drawChosen();
  drawNotes();
  drawBar(open.length);
  drawLinks();
  showTriad();
}

// What is selected stays to be seen where the focus goes elsewhere.
function drawChosen() {
  const { chosen } = state();
  const root = shownRoot();
  const range = chosen && root ? pageRange(root, chosen) : null;
  if (!globalThis.CSS?.highlights) return;
  if (range) CSS.highlights.set("chosen", new Highlight(range));
  else CSS.highlights.delete("chosen");
}

const short = (words) => (words.length > 70 ? `${words.slice(0, 38)} … ${words.slice(-28)}` : words);

function drawBar(open) {
  const bar = task().querySelector("#mark-bar");
  if (!bar) return;
  const { chosen, current, candidate } = state();
  const span = currentSpan();
  const target = chosen ?? span;
  bar.toggleAttribute("data-ready", Boolean(target));
  const said = bar.querySelector("#mark-said");
  said.hidden = !target;
  bar.querySelector("[data-hint]").hidden = Boolean(target);
  if (target) {
    const words = short(textOf(shownRoot(), target));
    said.textContent = chosen ? `${candidate >= 0 ? "Candidate" : "Selected"}: “${words}”` : `Mark ${current + 1}: “${words}”`;
  }
  for (const button of bar.querySelectorAll("[data-mark]")) {
    button.disabled = !target;
    button.setAttribute("aria-pressed", String(!chosen && span?.category === button.dataset.mark));
  }
  bar.querySelector("[data-dismiss]").hidden = candidate < 0;
  const left = task().querySelector("[data-open-candidates]");
  if (left) left.textContent = open;
  const count = state().spans.length;
  task().querySelector("#marks-count").textContent = count ? `${count} mark${count === 1 ? "" : "s"}` : "";
}

// Each chunk offers a link to the mark in hand.
function drawLinks() {
  const span = currentSpan();
  for (const button of task().querySelectorAll("[data-link]")) {
    button.hidden = !span;
    if (!span) continue;
    const linked = span.chunks.includes(Number(button.dataset.link));
    button.setAttribute("aria-pressed", String(linked));
    button.querySelector("[data-link-words]").textContent = `${linked ? "Linked to" : "Link"} mark ${state().current + 1}`;
  }
}

function changed(words = "") {
  drawAll();
  store();
  if (words) say(words);
  return true;
}

// The page's selection, and what a screen reader then says. Drawing comes first: it puts new text in the place of old.
function select(range, show) {
  const root = shownRoot();
  const shown = pageRange(root, range);
  if (!shown) return;
  const selection = getSelection();
  const kept = selection.rangeCount && root.contains(selection.focusNode) && rawRange(root, selection.getRangeAt(0));
  if (!show && kept?.start === range.start && kept.end === range.end) return;
  if (show) answerBox().focus({ preventScroll: true });
  selection.setBaseAndExtent(shown.startContainer, shown.startOffset, shown.endContainer, shown.endOffset);
  if (!show) return;
  const start = shown.startContainer;
  (start.nodeType === Node.TEXT_NODE ? start.parentElement : start).scrollIntoView({ block: "nearest" });
  say(textOf(root, range));
}

/** Select a raw range; `candidate` is its index where it is one, `show` brings it into sight. */
export function choose(range, { candidate = -1, show = true } = {}) {
  Object.assign(state(), { chosen: range, candidate, at: range.end });
  drawAll();
  select(range, show);
  return true;
}

function unchoose() {
  Object.assign(state(), { chosen: null, candidate: -1 });
  if (answerBox().contains(getSelection().anchorNode)) getSelection().removeAllRanges();
}

/** The page's own selection has changed, by mouse or touch. */
export function follow() {
  const selection = getSelection();
  const root = task()?.querySelector("#answer") && shownRoot();
  if (!root || !selection.rangeCount || !root.contains(selection.focusNode ?? null)) return;
  const range = selection.isCollapsed ? null : rawRange(root, selection.getRangeAt(0));
  const { chosen } = state();
  if (range?.start === chosen?.start && range?.end === chosen?.end) return;
  if (range) choose(range, { show: false });
  else {
    Object.assign(state(), { chosen: null, candidate: -1 });
    drawAll();
  }
}

/** Mark what is selected as a kind; without a selection, the mark in hand becomes of that kind. */
export function mark(category) {
  const { spans, chosen } = state();
  const span = currentSpan();
  if (!chosen) return span ? alter({ category }) : refuse(`Select words first, or press ${key("next")} for the next sentence.`);
  const met = spans.findIndex((other) => meets(other, chosen));
  if (met >= 0 && spans[met].start === chosen.start && spans[met].end === chosen.end) {
    state().current = met;
    unchoose();
    return alter({ category });
  }
  if (met >= 0) return refuse(`The selection overlaps mark ${met + 1}; select beside it, or remove that mark first.`);
  add({ ...chosen, category, severity: null, chunks: [], note: "" });
  unchoose();
  state().at = currentSpan().end;
  answerBox().focus({ preventScroll: true });
  return changed(`Mark ${state().current + 1}: ${kindWords(currentSpan())}`);
}

/** Change the mark in hand. */
export function alter(change) {
  const span = currentSpan();
  if (!span) return refuse(`Go to a mark first, with ${key("mark")}.`);
  Object.assign(span, change);
  if (!span.category) span.severity = null;
  return changed(change.note === undefined ? kindWords(span) : "");
}

export function severity(value) {
  const span = currentSpan();
  if (span && !span.category) return refuse("A statement without an error has no severity.");
  return alter({ severity: span?.severity === value ? null : value });
}

export function toggleLink(position) {
  const span = currentSpan();
  if (!span) return refuse(`Go to a mark first, with ${key("mark")}; then link it.`);
  const linked = span.chunks.includes(position);
  const chunks = linked ? span.chunks.filter((other) => other !== position) : [...span.chunks, position];
  alter({ chunks: chunks.sort((a, b) => a - b) });
  say(`Mark ${state().current + 1} is ${linked ? "not linked to" : "linked to"} chunk ${position + 1}`);
  return true;
}

export function remove() {
  const { candidate, current } = state();
  if (candidate >= 0) {
    dismiss(candidate);
    unchoose();
    return nextCandidate() || changed("Dismissed; that was the last candidate");
  }
  if (current < 0) return false;
  if (task().querySelector("#notes").contains(document.activeElement)) answerBox().focus({ preventScroll: true });
  drop(current);
  return changed("Mark removed");
}

/** Take a mark in hand. */
export function goTo(index) {
  unchoose();
  state().current = index;
  if (currentSpan()) state().at = currentSpan().end;
  drawAll();
  reveal();
  const span = currentSpan();
  if (span) say(`Mark ${index + 1}, ${kindWords(span)}: ${textOf(shownRoot(), span)}`);
  return true;
}

export function nextMark() {
  const { spans, current } = state();
  if (!spans.length) return refuse("Nothing is marked yet.");
  answerBox().focus({ preventScroll: true });
  return goTo((current + 1) % spans.length);
}

export function nextCandidate() {
  const open = openCandidates();
  const { candidates, candidate, at } = state();
  if (!open.length) return false;
  const from = candidate >= 0 ? candidates[candidate].start : at - 1;
  const next = open.find((n) => candidates[n].start > from) ?? open[0];
  state().current = -1;
  const { start, end } = candidates[next];
  return choose({ start, end }, { candidate: next });
}

/** The next sentence after where one is, or the one before. */
export function step(by) {
  const root = shownRoot();
  if (!root) return false;
  const { chosen, at } = state();
  const all = sentencesOf(root);
  const edge = chosen ?? currentSpan() ?? { start: at, end: at };
  const next = by > 0 ? all.find((sentence) => sentence.start >= edge.end) : all.findLast((sentence) => sentence.end <= edge.start);
  if (!next) return refuse(by > 0 ? "That was the last sentence." : "That is the first sentence.");
  state().current = -1;
  return choose(next);
}

/** Move an end of the selection by a word: `which` is start or end. */
export function stretch(which, by) {
  const root = shownRoot();
  const { chosen } = state();
  if (!root || !chosen) return root ? refuse(`Select something first, with ${key("next")}.`) : false;
  const edges = wordsOf(root).map((word) => word[which]);
  const inner = (edge) => (which === "end" ? edge > chosen.start : edge < chosen.end);
  const next = by > 0 ? edges.find((edge) => edge > chosen[which]) : edges.findLast((edge) => edge < chosen[which]);
  if (next === undefined || !inner(next)) return true;
  return choose({ ...chosen, [which]: next });
}
