// What is marked in the answer on the screen: spans, the one in hand, what is selected, candidates of a second pass.
import { field, idOf, task } from "./rank-page.js";

const states = new WeakMap();
const DISMISSED = "prefloop.dismissed."; // candidates put aside, for as long as the tab is open

export const rag = () => task().querySelector("#rag");
export const answerBox = () => task().querySelector("#answer");

/** The answer in both ways: rendered, and as it is written. None where it is empty. */
export const allRoots = () => [...answerBox().querySelectorAll(":scope > [data-shown], :scope > .raw")];

/** The way in which the answer is shown now; null where it is empty. */
export const shownRoot = () => allRoots().find((root) => root.offsetParent) ?? null;

function parsed(text, otherwise) {
  try {
    return JSON.parse(text) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function remembered(node) {
  try {
    return parsed(sessionStorage.getItem(DISMISSED + idOf(node)), []);
  } catch {
    return [];
  }
}

const inOrder = (spans) => spans.sort((a, b) => a.start - b.start);

/** {spans, current, chosen, candidate, at, candidates, dismissed, stages} of the task: indices, -1 for none. */
export function state() {
  const node = task();
  if (!states.has(node)) {
    const spans = parsed(field(node, "spans"), []).map((span) => ({ category: "", severity: null, chunks: [], note: "", ...span }));
    states.set(node, {
      spans: inOrder(spans),
      current: -1,
      chosen: null,
      candidate: -1,
      at: 0,
      candidates: parsed(rag().dataset.candidates, []),
      dismissed: new Set(remembered(node)),
      stages: parsed(rag().dataset.stages, {}),
    });
  }
  return states.get(node);
}

export const currentSpan = () => state().spans[state().current] ?? null;
export const meets = (a, b) => a.start < b.end && b.start < a.end;

/** Indices of the candidates that nobody has decided on: neither marked nor dismissed. */
export function openCandidates() {
  const { spans, candidates, dismissed } = state();
  return candidates.map((_, n) => n).filter((n) => !dismissed.has(n) && !spans.some((span) => meets(span, candidates[n])));
}

export function dismiss(n) {
  state().dismissed.add(n);
  try {
    sessionStorage.setItem(DISMISSED + idOf(task()), JSON.stringify([...state().dismissed]));
  } catch {
    // then it holds for this page only
  }
}

/** Add a span and take it in hand. */
export function add(span) {
  state().spans.push(span);
  inOrder(state().spans);
  state().current = state().spans.indexOf(span);
}

export function drop(index) {
  state().spans.splice(index, 1);
  state().current = Math.min(index, state().spans.length - 1);
}

/** Whether a span says that something is wrong, and whether it takes away from groundedness. */
export const isError = (span) => Boolean(span.category) || !span.chunks.length;
export const isUngrounded = (span) => (span.category ? (state().stages[span.category] ?? "grounding") === "grounding" : !span.chunks.length);

/** Put the spans into the form's field; it then travels, and is kept as a draft, like any other. */
export function store() {
  const input = task().querySelector("#judge [name=spans]");
  input.value = JSON.stringify(state().spans.map(({ start, end, category, severity, chunks, note }) => ({ start, end, category, severity, chunks, note })));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}
