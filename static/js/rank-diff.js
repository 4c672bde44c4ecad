// What changed between two texts, word by word (Myers 1986, the greedy algorithm). Pure functions; a leaf module.

const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{N}\p{M}_]+|\s+|./gsu;
const MOST_STEPS = 20_000_000; // a fraction of a second; beyond it the middle counts as replaced
const MOST_EDITS = 1_000;

// The furthest points of each number of edits; null where there are too many edits to follow.
function furthest(a, b) {
  const most = Math.min(a.length + b.length, MOST_EDITS, Math.floor(MOST_STEPS / (a.length + b.length + 1)));
  const reach = new Int32Array(2 * most + 3);
  const trail = [];
  for (let d = 0; d <= most; d += 1) {
    trail.push(reach.slice(most - d, most + d + 3));
    for (let k = -d; k <= d; k += 2) {
      const at = k + most + 1;
      let x = k === -d || (k !== d && reach[at - 1] < reach[at + 1]) ? reach[at + 1] : reach[at - 1] + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[at] = x;
      if (x >= a.length && x - k >= b.length) return trail;
    }
  }
  return null;
}

// Back along the trail: one [kind, word] for each word, the last first.
function walkBack(a, b, trail) {
  const steps = [];
  let [x, y] = [a.length, b.length];
  for (let d = trail.length - 1; d >= 0; d -= 1) {
    const reach = (k) => trail[d][k + d + 1];
    const k = x - y;
    const down = k === -d || (k !== d && reach(k - 1) < reach(k + 1));
    const startX = d === 0 ? 0 : down ? reach(k + 1) : reach(k - 1) + 1;
    while (x > startX) {
      x -= 1;
      y -= 1;
      steps.push(["same", a[x]]);
    }
    if (d === 0) break;
    if (down) steps.push(["ins", b[--y]]);
    else steps.push(["del", a[--x]]);
  }
  return steps.reverse();
}

// Runs of one kind; a lone space between two changes belongs to both.
function runs(steps) {
  const found = [];
  let [gone, come] = ["", ""];
  const flush = () => {
    if (gone) found.push({ kind: "del", text: gone });
    if (come) found.push({ kind: "ins", text: come });
    [gone, come] = ["", ""];
  };
  steps.forEach(([kind, word], n) => {
    const between = kind === "same" && !word.trim() && (gone || come) && n + 1 < steps.length && steps[n + 1][0] !== "same";
    if (kind === "del" || between) gone += word;
    if (kind === "ins" || between) come += word;
    if (kind !== "same" || between) return;
    flush();
    if (found.at(-1)?.kind === "same") found.at(-1).text += word;
    else found.push({ kind: "same", text: word });
  });
  flush();
  return found;
}

/** [{kind: "same" | "del" | "ins", text}] that turns `before` into `after`. */
export function wordDiff(before, after) {
  const [a, b] = [before.match(WORD) ?? [], after.match(WORD) ?? []];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [middleA, middleB] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const trail = furthest(middleA, middleB);
  const middle = trail
    ? walkBack(middleA, middleB, trail)
    : [...middleA.map((word) => ["del", word]), ...middleB.map((word) => ["ins", word])];
  const same = (words) => words.map((word) => ["same", word]);
  return runs([...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))]);
}

/** How many words of a kind there are in a diff. */
export function countWords(diff, kind) {
  const words = diff.filter((run) => run.kind === kind).flatMap((run) => run.text.match(WORD) ?? []);
  return words.filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}
