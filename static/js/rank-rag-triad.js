// The triad as it follows from the marks so far, the way labeling/rag/triad.py works it out.
import { answer, task } from "./rank-page.js";
import { isUngrounded, rag, state } from "./rank-rag-state.js";

function contextRelevance() {
  const marks = [...task().querySelectorAll(".grade input:checked")].map((input) => Number(input.value));
  return marks.length ? marks.reduce((sum, mark) => sum + mark, 0) / (2 * marks.length) : null;
}

function groundedness() {
  const length = Number(rag().dataset.length);
  if (!length) return null;
  const lost = state().spans.filter(isUngrounded).reduce((sum, span) => sum + span.end - span.start, 0);
  return 1 - lost / length;
}

function answerRelevance() {
  const given = answer().querySelector("[name=answers_question]:checked");
  return given ? Number(given.value) / 2 : null;
}

/** Show the triad; what nothing was said of is a dash. */
export function showTriad() {
  for (const [name, value] of [["context", contextRelevance()], ["grounded", groundedness()], ["answer", answerRelevance()]]) {
    const slot = task().querySelector(`[data-triad=${name}]`);
    if (slot) slot.textContent = value === null ? "–" : `${Math.round(value * 100)} %`;
  }
}
