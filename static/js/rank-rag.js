// Reviewing a RAG answer: the kind of task for the annotating page, put together from its parts.
import { answer, task } from "./rank-page.js";
import { focused, grade, nextChunk, startChunks, toFilter, toggleOpen } from "./rank-rag-chunks.js";
import { alter, drawAll, follow, goTo, key, mark, nextCandidate, nextMark, refuse, remove, severity, step, stretch, toggleLink } from "./rank-rag-marks.js";
import { drawLines, openNote, point, settle } from "./rank-rag-notes.js";
import { answerBox, currentSpan, openCandidates, state } from "./rank-rag-state.js";
import { showTriad } from "./rank-rag-triad.js";
import { corrected, correct, dropUnchanged, failure, failureSeverity, inFailures, missed, startWhole, toFailures } from "./rank-rag-whole.js";

const SEVERITY = 10; // Shift and a digit come as 11 to 13

function check(name, value) {
  const input = answer().querySelector(`[name=${name}][value="${value}"]`);
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

// Yes, and with each further press partly, no, yes.
function addressed() {
  const now = answer().querySelector("[name=answers_question]:checked")?.value;
  return check("answers_question", { 2: 1, 1: 0, 0: 2 }[now] ?? 2);
}

function digit(number) {
  if (focused() && number <= SEVERITY) return grade(number === SEVERITY ? 0 : number);
  if (inFailures()) return number > SEVERITY ? number <= 13 && failureSeverity(number - SEVERITY) : failure(number);
  if (number > SEVERITY) return number <= 13 && severity(number - SEVERITY);
  const button = task().querySelectorAll("[data-mark]")[number === SEVERITY ? 0 : number];
  return button ? mark(button.dataset.mark) : false;
}

function click({ target }) {
  const link = target.closest("[data-link]");
  const kind = target.closest("[data-mark]");
  const note = target.closest("[data-note]");
  if (link) toggleLink(Number(link.dataset.link));
  else if (kind) mark(kind.dataset.mark);
  else if (target.closest("[data-dismiss]")) remove();
  else if (note) inNote(target, Number(note.dataset.note));
  else if (target.closest("#answer")) touchMark(target);
}

function inNote(target, index) {
  const part = target.closest("[data-part]")?.dataset.part;
  const unlink = target.closest("[data-unlink]");
  if (target.closest(".mark-note-head")) goTo(index === state().current ? -1 : index);
  else if (part === "remove") remove();
  else if (part === "unlink") alter({ chunks: [] });
  else if (unlink) toggleLink(Number(unlink.dataset.unlink));
}

// A click within the text takes the mark, or the candidate, that is there.
function touchMark(target) {
  if (state().chosen) return;
  const at = target.closest("[data-span]");
  if (at) goTo(Number(at.dataset.span));
  else if (currentSpan()) goTo(-1);
}

function noteChanged({ target, type }) {
  const part = target.dataset?.part;
  if (!part || !currentSpan()) return;
  if (part === "note") alter({ note: target.value });
  else if (type === "change" && part === "category") alter({ category: target.value });
  else if (type === "change" && part === "severity") alter({ severity: Number(target.value) || null });
  else if (type === "change" && part === "link" && target.value !== "") toggleLink(Number(target.value));
}

function pointAt({ target }) {
  const at = target.closest?.("[data-span], [data-note]");
  point(at ? Number(at.dataset.span ?? at.dataset.note) : -1);
}

function listen(node) {
  node.addEventListener("click", click);
  node.addEventListener("input", noteChanged);
  node.addEventListener("change", noteChanged);
  node.addEventListener("pointerover", pointAt);
  node.addEventListener("scroll", drawLines, { capture: true, passive: true });
  // A press on the bar must not undo the selection that it is for.
  node.querySelector("#mark-bar")?.addEventListener("pointerdown", (event) => event.preventDefault());
  node.querySelector("#mark-bar")?.addEventListener("mousedown", (event) => event.preventDefault());
  new ResizeObserver(settle).observe(node.querySelector("#answer"));
  startChunks(node);
  startWhole(node);
}

let heard = false;

export const review = {
  dress(node) {
    if (!node.querySelector("#rag").dataset.dressed) {
      node.querySelector("#rag").dataset.dressed = "yes";
      listen(node);
    }
    if (!heard) document.addEventListener("selectionchange", follow);
    heard = true;
    const prompt = node.querySelector("[data-to-end]");
    prompt.scrollTop = prompt.scrollHeight;
    drawAll();
  },
  changed(field) {
    if (field.name === "corrected") corrected();
    showTriad();
  },
  acts: {
    good: () => check("verdict", "good"),
    faulty: () => check("verdict", "bad"),
    addressed,
    next: () => step(1),
    previous: () => step(-1),
    longer: () => stretch("end", 1),
    shorter: () => stretch("end", -1),
    later_start: () => stretch("start", 1),
    earlier_start: () => stretch("start", -1),
    mark: nextMark,
    candidate: () => nextCandidate() || refuse("No candidate is open."),
    remove,
    note: openNote,
    chunks: nextChunk,
    filter: toFilter,
    open: toggleOpen,
    link: () => (focused() ? toggleLink(Number(focused().dataset.chunk)) : refuse(`Go to a chunk first, with ${key("chunks")}.`)),
    unlink: () => alter({ chunks: [] }),
    answer: () => answerBox().focus(),
    failures: toFailures,
    missed,
    correct,
  },
  digit,
  move(by, event) {
    if (focused() || inFailures()) return false;
    return event.shiftKey ? stretch("end", by) : step(by);
  },
  missing() {
    dropUnchanged();
    const open = openCandidates().length;
    if (open && !task().hasAttribute("data-revises")) {
      return `${open} candidate${open === 1 ? " is" : "s are"} open: ${key("candidate")} goes to the next, a digit marks it, ${key("remove")} dismisses it.`;
    }
    if (!answer().querySelector("[name=verdict]:checked")) return `Say whether the answer is good first: ${key("good")} or ${key("faulty")}.`;
    if (!answer().querySelector("[name=answers_question]:checked")) return `Say whether it answers the question: ${key("addressed")}.`;
    return "";
  },
};
