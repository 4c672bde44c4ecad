// The retrieved chunks: found by a filter, opened on demand, marked for relevance, linked to the mark in hand.
import { task } from "./rank-page.js";
import { ask } from "./rank-send.js";
import { settle } from "./rank-rag-notes.js";
import { rag } from "./rank-rag-state.js";

const PAUSE = 250;
let timer = 0;
let last = null;

const list = () => task().querySelector("#chunk-list");
const all = () => [...task().querySelectorAll(".chunk")];
const shown = () => all().filter((chunk) => !chunk.hidden);

/** The chunk that has the focus; null for none. */
export const focused = () => document.activeElement?.closest?.(".chunk") ?? null;

function enter(chunk) {
  if (!chunk) return false;
  last = chunk;
  chunk.focus({ preventScroll: true });
  chunk.scrollIntoView({ block: "nearest" });
  return true;
}

/** To the chunks, where one was before; from a chunk to the next. */
export function nextChunk() {
  const chunks = shown();
  const now = focused();
  if (!now) return enter(last?.isConnected && !last.hidden ? last : chunks[0]);
  return enter(chunks[(chunks.indexOf(now) + 1) % chunks.length]);
}

export function toggleOpen() {
  const more = (focused() ?? shown()[0])?.querySelector(".chunk-more");
  if (!more) return false;
  more.open = !more.open;
  return true;
}

/** Mark the chunk in focus: 2, 1 or 0; the same again takes the mark away. */
export function grade(value) {
  const input = focused()?.querySelector(`.grade input[value="${value}"]`);
  if (!input) return false;
  input.checked = !input.checked;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

async function load(more) {
  const slot = more.querySelector("[data-address]");
  if (!slot) return;
  const address = slot.dataset.address;
  delete slot.dataset.address;
  const reply = await ask(address).catch(() => null);
  const text = reply?.status === 200 ? new DOMParser().parseFromString(reply.text, "text/html").querySelector("[data-whole]") : null;
  if (text) slot.replaceWith(document.adoptNode(text));
  else {
    slot.dataset.address = address;
    slot.textContent = "The chunk could not be read; close it and open it again.";
  }
  highlight();
}

const query = () => (task().querySelector("#chunk-filter")?.value ?? "").trim().toLowerCase();

function highlight() {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("found");
  const words = query().split(/\s+/).filter(Boolean);
  if (!words.length) return;
  const found = new Highlight();
  for (const box of list().querySelectorAll(".chunk:not([hidden]) :is(.chunk-text[data-whole], .chunk-opening, h3)")) {
    for (const node of box.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE) continue;
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length) continue;
      for (const word of words) {
        for (let at = text.indexOf(word), n = 0; at >= 0 && n < 500; at = text.indexOf(word, at + word.length), n += 1) {
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          found.add(range);
        }
      }
    }
  }
  CSS.highlights.set("found", found);
}

// Chunks that the page does not hold in full are searched by the server.
async function elsewhere(words) {
  if (!list().querySelector("[data-address]")) return new Set();
  const reply = await ask(`${rag().dataset.find}?${new URLSearchParams({ q: words })}`).catch(() => null);
  try {
    return new Set(JSON.parse(reply.text).positions);
  } catch {
    return new Set();
  }
}

async function filter() {
  const node = task();
  const words = query();
  const there = words ? await elsewhere(words) : null;
  if (task() !== node || query() !== words) return;
  for (const chunk of all()) {
    const text = words && chunk.textContent.toLowerCase();
    chunk.hidden = Boolean(words) && !there.has(Number(chunk.dataset.chunk)) && !words.split(/\s+/).every((word) => text.includes(word));
  }
  const found = task().querySelector("#chunks-found");
  found.textContent = words ? `${shown().length} of ${all().length}` : "";
  highlight();
  settle();
}

export function toFilter() {
  const field = task().querySelector("#chunk-filter");
  field?.focus();
  field?.select();
  return Boolean(field);
}

/** Listen within a task, once. */
export function startChunks(node) {
  node.addEventListener("toggle", (event) => {
    if (!event.target.matches?.(".chunk-more")) return;
    if (event.target.open) load(event.target);
    settle();
  }, { capture: true });
  node.addEventListener("focusin", (event) => {
    last = event.target.closest?.(".chunk") ?? last;
  });
  const field = node.querySelector("#chunk-filter");
  field?.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, PAUSE);
  });
  field?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    clearTimeout(timer);
    filter().then(() => enter(shown()[0]));
  });
}
