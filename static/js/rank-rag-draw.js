// Marks and candidates drawn in an answer whose pieces say where they stand in the raw text. A leaf but for offsets.
import { endOf, isWhole, pieces, startOf, unitsAfter } from "./rank-rag-offsets.js";

const drawn = new WeakMap(); // a piece → what was drawn in it last

// A raw range with the mark and the candidate that hold it, or a part of it.
function partOf(from, to, marks) {
  const over = marks.filter((mark) => mark.start < to && mark.end > from);
  return { from, to, mark: over.find(({ span }) => span !== undefined), candidate: over.find(({ candidate }) => candidate !== undefined) };
}

// A raw range cut at every border.
function partsOf(start, end, marks) {
  const borders = new Set([start, end]);
  for (const mark of marks) {
    if (mark.start > start && mark.start < end) borders.add(mark.start);
    if (mark.end > start && mark.end < end) borders.add(mark.end);
  }
  const cuts = [...borders].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((from, n) => partOf(from, cuts[n + 1], marks));
}

function dress(element, { mark, candidate }, last) {
  const said = {
    span: mark?.span,
    candidate: candidate?.candidate,
    sort: mark?.sort ?? (candidate && "candidate"),
    number: mark && last.get(mark) === element.dataset.place ? mark.span + 1 : undefined,
    current: mark?.current || candidate?.current ? "" : undefined,
  };
  for (const [name, value] of Object.entries(said)) {
    if (value === undefined) delete element.dataset[name];
    else element.dataset[name] = value;
  }
}

function drawRun(piece, parts, last) {
  const text = piece.textContent;
  const start = startOf(piece);
  const nodes = parts.map((part) => {
    const words = text.slice(unitsAfter(text, part.from - start), unitsAfter(text, part.to - start));
    if (!part.mark && !part.candidate) return document.createTextNode(words);
    const element = document.createElement("mark");
    element.textContent = words;
    element.dataset.place = part.from;
    dress(element, part, last);
    return element;
  });
  piece.replaceChildren(...nodes);
}

/** Draw marks, [{start, end, span or candidate (an index), sort, current}]; only what changed is touched. */
export function draw(root, marks) {
  const work = pieces(root).map((piece) => {
    const [start, end] = [startOf(piece), endOf(piece)];
    return { piece, parts: isWhole(piece) ? [partOf(start, end, marks)] : partsOf(start, end, marks) };
  });
  const last = new Map(); // a mark → the place of its last part, after which its number stands
  for (const { parts } of work) for (const { mark, from } of parts) if (mark) last.set(mark, `${from}`);
  for (const { piece, parts } of work) {
    const told = JSON.stringify(parts.map(({ from, mark, candidate }) => [from, mark?.span, mark?.sort, mark?.current, last.get(mark), candidate?.candidate, candidate?.current]));
    if (drawn.get(piece) === told) continue;
    drawn.set(piece, told);
    if (!isWhole(piece)) drawRun(piece, parts, last);
    else {
      piece.dataset.place = startOf(piece);
      dress(piece, parts[0], last);
    }
  }
}

/** The first element that shows a mark; null where none does. */
export const firstOf = (root, index) => root.querySelector(`[data-span="${index}"]`);
