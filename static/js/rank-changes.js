// What was changed in a text, shown word by word with its count: for responses and for reviewed answers.
import { countWords, wordDiff } from "./rank-diff.js";

const LONG = 1_500; // characters of unchanged text that are shown whole

// The unchanged text between two changes, shortened where it is long: the text itself stands beside.
function shorten(words) {
  if (words.length <= LONG) return [words];
  const gap = document.createElement("span");
  gap.className = "gap";
  gap.textContent = `… ${(words.length - 400).toLocaleString("en-US")} characters as they were …`;
  return [words.slice(0, 200), gap, words.slice(-200)];
}

/** Show in `box` what turns `before` into `after`, and in `line` how much that is, against what. */
export function showDifference(box, line, before, after, against) {
  const diff = wordDiff(before, after);
  box.replaceChildren(...diff.flatMap((run) => {
    if (run.kind === "same") return shorten(run.text);
    const changed = document.createElement(run.kind);
    changed.textContent = run.text;
    return changed;
  }));
  const [more, less] = [countWords(diff, "ins"), countWords(diff, "del")];
  line.textContent = more || less ? `${more} added, ${less} removed, against ${against}` : `Nothing changed yet against ${against}`;
}
