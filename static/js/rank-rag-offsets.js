// Where shown text stands in the raw text. Offsets count code points; the page counts UTF-16. A leaf module.
// A run, [data-at], shows the raw text from there on; a whole, with [data-to] too, stands for all between the two.

const PIECE = "[data-at]";
const BLOCK = "p, li, h3, h4, h5, h6, td, th, pre, blockquote, div";
const WHOLE = "\ufffc";
const SPACE = /\s/;
const models = new WeakMap();

export const pieces = (root) => [...root.querySelectorAll(PIECE)];
export const isWhole = (piece) => piece.hasAttribute("data-to");
export const startOf = (piece) => Number(piece.dataset.at);

const countPoints = (text) => [...text].length;

export const endOf = (piece) => (isWhole(piece) ? Number(piece.dataset.to) : startOf(piece) + countPoints(piece.textContent));

/** The index in `text` after so many code points. */
export function unitsAfter(text, points) {
  let units = 0;
  for (const character of text) {
    if (points <= 0) break;
    points -= 1;
    units += character.length;
  }
  return units;
}

/** All shown text of a root in one string, and of each of its UTF-16 units where it begins and ends in the raw text. */
export function modelOf(root) {
  if (models.has(root)) return models.get(root);
  const [at, to] = [[], []];
  let [text, block] = ["", null];
  const gap = (words) => {
    text += words;
    for (let n = 0; n < words.length; n += 1) at.push(-1), to.push(-1);
  };
  for (const part of root.querySelectorAll(`br, ${PIECE}`)) {
    if (part.localName === "br") {
      gap("\n");
      continue;
    }
    const own = part.closest(BLOCK);
    if (block && own !== block) gap("\n\n");
    block = own;
    let place = startOf(part);
    if (isWhole(part)) {
      text += WHOLE;
      at.push(place);
      to.push(Number(part.dataset.to));
      continue;
    }
    for (const character of part.textContent) {
      text += character;
      for (let n = 0; n < character.length; n += 1) at.push(place), to.push(place + 1);
      place += 1;
    }
  }
  const model = { text, at, to };
  models.set(root, model);
  return model;
}

// The stretch of a model's units without space and gaps at its ends, as a raw range; null where nothing is left.
function rawOf({ text, at, to }, first, last) {
  while (first < last && (at[first] < 0 || SPACE.test(text[first]))) first += 1;
  while (first < last && (at[last - 1] < 0 || SPACE.test(text[last - 1]))) last -= 1;
  return first < last ? { start: at[first], end: to[last - 1] } : null;
}

function unitsOf({ at, to }, start, end) {
  const first = to.findIndex((place) => place > start);
  const after = first < 0 ? -1 : at.findIndex((place, n) => n >= first && place >= end);
  return [first < 0 ? at.length : first, after < 0 ? at.length : after];
}

const segmenters = {};
function segments(text, granularity) {
  segmenters[granularity] ??= new Intl.Segmenter(undefined, { granularity });
  return segmenters[granularity].segment(text);
}

/** The sentences of a root as raw ranges, in their order. */
export function sentencesOf(root) {
  const model = modelOf(root);
  model.sentences ??= [...segments(model.text, "sentence")]
    .filter(({ segment }) => /[\p{L}\p{N}\ufffc]/u.test(segment))
    .map(({ index, segment }) => rawOf(model, index, index + segment.length))
    .filter(Boolean);
  return model.sentences;
}

/** The words of a root as raw ranges, in their order; a whole is a word. */
export function wordsOf(root) {
  const model = modelOf(root);
  model.words ??= [...segments(model.text, "word")]
    .filter(({ segment, isWordLike }) => isWordLike || segment === WHOLE)
    .map(({ index, segment }) => rawOf(model, index, index + segment.length))
    .filter(Boolean);
  return model.words;
}

/** What is shown of a raw range, as text. */
export function textOf(root, { start, end }) {
  const model = modelOf(root);
  const [first, last] = unitsOf(model, start, end);
  return model.text.slice(first, last).replaceAll(WHOLE, "[formula]").replace(/\s+/g, " ").trim();
}

// Units of a piece's text before a boundary of a range; `fallback` where the boundary is outside of it.
function unitsBefore(piece, container, offset, fallback) {
  if (!piece.contains(container)) return fallback;
  const before = document.createRange();
  before.setStart(piece, 0);
  before.setEnd(container, offset);
  return before.toString().length;
}

/** The raw range of a Range of the page within a root: what it shows, without space at its ends; null for nothing. */
export function rawRange(root, range) {
  let [start, end] = [Infinity, -1];
  for (const piece of pieces(root)) {
    if (!range.intersectsNode(piece)) continue;
    const inside = document.createRange();
    inside.selectNodeContents(piece);
    const touches = range.compareBoundaryPoints(Range.START_TO_END, inside) > 0 && range.compareBoundaryPoints(Range.END_TO_START, inside) < 0;
    if (!touches) continue;
    let [from, to] = [startOf(piece), endOf(piece)];
    if (!isWhole(piece)) {
      const text = piece.textContent;
      const first = unitsBefore(piece, range.startContainer, range.startOffset, 0);
      const last = unitsBefore(piece, range.endContainer, range.endOffset, text.length);
      to = from + countPoints(text.slice(0, last));
      from += countPoints(text.slice(0, first));
    }
    if (from >= to) continue;
    [start, end] = [Math.min(start, from), Math.max(end, to)];
  }
  return end < 0 ? null : rawOf(modelOf(root), ...unitsOf(modelOf(root), start, end));
}

// The text node of a piece and the offset in it after so many units.
function boundary(piece, units) {
  const walker = document.createTreeWalker(piece, NodeFilter.SHOW_TEXT);
  let node = walker.nextNode();
  while (node && units > node.data.length) {
    units -= node.data.length;
    node = walker.nextNode();
  }
  return node ? [node, units] : [piece, 0];
}

/** The Range of the page that shows a raw range; null where nothing of it is shown. */
export function pageRange(root, { start, end }) {
  const touched = pieces(root).filter((piece) => startOf(piece) < end && endOf(piece) > start);
  if (!touched.length) return null;
  const [first, last] = [touched[0], touched.at(-1)];
  const range = document.createRange();
  if (isWhole(first)) range.setStartBefore(first);
  else range.setStart(...boundary(first, unitsAfter(first.textContent, start - startOf(first))));
  if (isWhole(last)) range.setEndAfter(last);
  else range.setEnd(...boundary(last, unitsAfter(last.textContent, end - startOf(last))));
  return range;
}
