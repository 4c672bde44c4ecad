// The person's keys, as the task on the screen carries them. A leaf module.

const NAMED = { Enter: "⏎", Backspace: "⌫", Delete: "Del", Insert: "Ins" };
const read = new WeakMap();

/** {action: key} of a task. */
export function keysOf(node) {
  if (!read.has(node)) read.set(node, JSON.parse(node.dataset.keys));
  return read.get(node);
}

/** A key as it is written on a button. */
export const keyWords = (key) => NAMED[key] ?? key.replace("Shift+", "⇧");

/** The response or value that a digit stands for: 1 to 9, 0 for the tenth, with Shift ten more; null for no digit. */
export function numberOf(names) {
  const found = names.map((name) => /^(Shift\+)?(\d)$/.exec(name)).find(Boolean);
  return found ? (found[1] ? 10 : 0) + (Number(found[2]) || 10) : null;
}
