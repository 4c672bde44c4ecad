// Two responses: which is better, and by how much.
import { answer, task } from "./rank-page.js";
import { keyWords, keysOf } from "./rank-keymap.js";

const radio = (name, value) => answer()?.querySelector(`[name=${name}][value="${value}"]`);
const chosen = (name) => answer()?.querySelector(`[name=${name}]:checked`);
const strengths = () => answer()?.querySelector(".strengths");

function set(input) {
  if (!input || input.disabled) return false;
  if (!input.checked) {
    input.checked = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  return true;
}

// The same key again says more: slightly, clearly, much, slightly.
function choose(value) {
  const input = radio("verdict", value);
  if (!input) return false;
  if (input.checked && strengths() && !strengths().disabled) {
    const next = (Number(chosen("strength")?.value ?? 0) % 3) + 1;
    set(radio("strength", next));
  }
  set(input);
  input.focus({ preventScroll: true });
  return true;
}

// A strength belongs to the verdict that it was given with.
function follow(changed) {
  if (!strengths()) return;
  if (changed?.name === "verdict") strengths().querySelectorAll("input").forEach((input) => (input.checked = false));
  const verdict = chosen("verdict")?.value;
  strengths().disabled = !["first", "second"].includes(verdict);
  const words = chosen("strength")?.dataset.words ?? "";
  for (const slot of answer().querySelectorAll("[data-strength-word]")) {
    slot.textContent = slot.closest(".verdict").querySelector("input").checked ? words : "";
  }
}

export const pairwise = {
  dress: () => follow(null),
  changed: follow,
  acts: {
    first: () => choose("first"),
    second: () => choose("second"),
    tie: () => choose("tie"),
    bad: () => choose("both_bad"),
    slightly: () => set(radio("strength", 1)),
    clearly: () => set(radio("strength", 2)),
    much: () => set(radio("strength", 3)),
  },
  missing() {
    const key = keysOf(task());
    const words = (name) => keyWords(key[name]);
    if (!chosen("verdict")) return `Choose first: ${words("first")}, ${words("second")}, ${words("tie")} or ${words("bad")}.`;
    if (!strengths() || strengths().disabled || chosen("strength")) return "";
    return `Say how much better: ${words("slightly")}, ${words("clearly")} or ${words("much")}, or the same key again.`;
  },
};
