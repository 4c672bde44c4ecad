// The notes in the margin: one for each mark, level with it; the one in hand is open, to be changed. And the lines to chunks.
import { firstOf } from "./rank-rag-draw.js";
import { pageRange } from "./rank-rag-offsets.js";
import { answerBox, currentSpan, isError, rag, shownRoot, state } from "./rank-rag-state.js";
import { task } from "./rank-page.js";

const GAP = 6; // pixels between two notes
const SEVERITIES = { 1: "minor", 2: "major", 3: "critical" };
const cards = new WeakMap(); // a span → its note
let frame = 0;

const list = () => task().querySelector("#notes");
const inMargin = () => getComputedStyle(list()).getPropertyValue("--in-margin").trim() === "1";
const nameOf = (key) => task().querySelector("#note-shape").content.querySelector(`[data-part=category] option[value="${key}"]`)?.textContent ?? key;

export const kindWords = (span) => (span.category ? nameOf(span.category) : span.chunks.length ? "Supported" : "No support");
const linkWords = (span) => {
  const numbers = span.chunks.map((position) => position + 1).join(", ");
  return numbers ? `chunk${span.chunks.length > 1 ? "s" : ""} ${numbers}` : "no chunk";
};

function cardOf(span) {
  if (!cards.has(span)) cards.set(span, task().querySelector("#note-shape").content.firstElementChild.cloneNode(true));
  return cards.get(span);
}

function linkOf(position) {
  const link = document.createElement("span");
  link.className = "mark-link";
  const jump = document.createElement("a");
  jump.href = `#chunk-${position + 1}`;
  jump.textContent = `Chunk ${position + 1}`;
  const off = document.createElement("button");
  off.type = "button";
  off.dataset.unlink = position;
  off.textContent = "×";
  off.setAttribute("aria-label", `Take the link to chunk ${position + 1} away`);
  link.append(jump, off);
  return link;
}

function fill(card, span, index) {
  const open = index === state().current;
  const part = (name) => card.querySelector(`[data-part="${name}"]`);
  card.dataset.note = index;
  card.dataset.sort = isError(span) ? "error" : "supported";
  card.toggleAttribute("data-current", open);
  card.querySelector(".mark-number").textContent = index + 1;
  card.querySelector(".mark-words").textContent = kindWords(span);
  card.querySelector(".mark-more").textContent = [SEVERITIES[span.severity], linkWords(span)].filter(Boolean).join(" · ");
  card.querySelector(".mark-note-head").setAttribute("aria-expanded", String(open));
  card.querySelector(".mark-note-body").hidden = !open;
  if (!open) return;
  part("category").value = span.category;
  part("severity").value = span.severity ?? "";
  part("severity").disabled = !span.category;
  if (part("note") !== document.activeElement) part("note").value = span.note;
  part("unlink").disabled = !span.chunks.length;
  part("link").value = "";
  const said = JSON.stringify(span.chunks);
  const links = card.querySelector(".mark-links");
  if (links.dataset.said === said) return;
  links.dataset.said = said;
  links.replaceChildren(...(span.chunks.length ? span.chunks.map(linkOf) : ["No chunk supports it"]));
}

/** Write the notes anew, each where it was; then put them level with their marks. */
export function drawNotes() {
  const { spans } = state();
  const wanted = spans.map((span, index) => {
    const card = cardOf(span);
    fill(card, span, index);
    return card;
  });
  const box = list();
  for (const old of [...box.children]) if (!wanted.includes(old)) old.remove();
  wanted.forEach((card, n) => {
    if (box.children[n] !== card) box.insertBefore(card, box.children[n] ?? null);
  });
  settle();
}

/** Soon, once for all that changed. */
export function settle() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => {
    if (!task()?.querySelector("#notes")) return;
    place();
    drawLines();
  });
}

function place() {
  const box = list();
  const margin = inMargin();
  box.classList.toggle("in-margin", margin);
  const top = box.getBoundingClientRect().top;
  const root = shownRoot();
  let free = 0;
  [...box.children].forEach((card, index) => {
    card.style.top = "";
    if (!margin) return;
    const mark = root && firstOf(root, index);
    const level = mark ? mark.getBoundingClientRect().top - top : free;
    const at = Math.max(level - 2, free);
    card.style.top = `${Math.round(at)}px`;
    free = at + card.offsetHeight + GAP;
  });
  box.style.minHeight = margin ? `${Math.ceil(free)}px` : "";
}

let pointed = -1;

/** The mark that the pointer is at; -1 for none. */
export function point(index) {
  if (pointed === index) return;
  pointed = index;
  drawLines();
}

function lineTo(chunk, from, area) {
  const pane = chunk.closest(".rag-chunks").getBoundingClientRect();
  const head = chunk.querySelector(".chunk-head").getBoundingClientRect();
  const top = pane.top + chunk.closest(".rag-chunks").querySelector(".chunks-head").offsetHeight;
  const y = Math.max(top + 4, Math.min(pane.bottom - 4, head.top + head.height / 2));
  const [x1, y1, x2, y2] = [from.x - area.left, from.y - area.top, pane.left - area.left + 6, y - area.top];
  const bend = Math.max(24, (x2 - x1) / 2);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
  const end = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  end.setAttribute("cx", x2);
  end.setAttribute("cy", y2);
  end.setAttribute("r", 3);
  return [path, end];
}

// From the note of the mark that is pointed at, or in hand, to each chunk that it is linked to.
export function drawLines() {
  const box = task()?.querySelector("#rag-lines");
  if (!box) return;
  const index = pointed >= 0 ? pointed : state().current;
  const span = state().spans[index];
  for (const chunk of task().querySelectorAll(".chunk")) chunk.toggleAttribute("data-linked", Boolean(span?.chunks.includes(Number(chunk.dataset.chunk))));
  const card = span && list().children[index]?.querySelector(".mark-note-head");
  if (!card || !inMargin() || getComputedStyle(box).display === "none") return box.replaceChildren();
  const area = rag().getBoundingClientRect();
  const scroll = answerBox().closest(".rag-main").getBoundingClientRect();
  const head = card.getBoundingClientRect();
  const y = Math.max(scroll.top + 4, Math.min(scroll.bottom - 4, head.top + head.height / 2));
  box.dataset.sort = isError(span) ? "error" : "supported";
  const shown = span.chunks.map((position) => task().querySelector(`.chunk[data-chunk="${position}"]:not([hidden])`)).filter(Boolean);
  box.replaceChildren(...shown.flatMap((chunk) => lineTo(chunk, { x: head.right, y }, area)));
}

/** Bring the mark in hand into sight, and the first chunk that it is linked to. */
export function reveal() {
  const span = currentSpan();
  const root = shownRoot();
  if (!span || !root) return;
  pageRange(root, span)?.startContainer.parentElement.scrollIntoView({ block: "nearest" });
  const chunk = task().querySelector(`.chunk[data-chunk="${span.chunks[0]}"]`);
  if (chunk && inMargin()) chunk.scrollIntoView({ block: "nearest" });
}

export function openNote() {
  const field = list().children[state().current]?.querySelector("[data-part=note]");
  field?.focus();
  return Boolean(field);
}
