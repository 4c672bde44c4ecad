// Ranking: every response begins in the bucket; clicks, keys and dragging put it in its place.
import { startDragging } from "./rank-drag.js";
import { keyWords, keysOf } from "./rank-keymap.js";
import { answer, task, tell } from "./rank-page.js";
import { nudge, placeAt, placeLast, placeWords, readOrder, takeOut, tieLast, writeOrder } from "./rank-ties.js";

const states = new WeakMap(); // a task → {groups, last, bad}
const part = (id) => task().querySelector(`#${id}`);
const count = () => Number(task().dataset.count);
const numbers = () => Array.from({ length: count() }, (_, n) => n + 1);

function state() {
  const node = task();
  if (!states.has(node)) {
    const order = part("ranking").dataset.order;
    const groups = readOrder(order);
    states.set(node, { groups, last: groups.at(-1)?.at(-1) ?? null, bad: order === "all_bad" });
  }
  return states.get(node);
}

const placed = (number) => state().groups.some((group) => group.includes(number));

function chip(number) {
  const button = part("chip-shape").content.firstElementChild.cloneNode(true);
  const words = placeWords(state().groups, number);
  button.dataset.chip = number;
  button.querySelector(".chip-number").textContent = number;
  button.setAttribute("aria-label", `Response ${number}, ${words ? `${words.replace(" =", ", tied")} of ${count()}` : "not placed"}`);
  button.classList.toggle("last", number === state().last);
  return button;
}

function mark(number) {
  const card = task().querySelector(`[data-response="${number}"]`);
  const words = state().bad ? "Bad" : placeWords(state().groups, number);
  const slot = card.querySelector("[data-place-word]");
  slot.textContent = words;
  slot.hidden = !words;
  slot.classList.toggle("bad", state().bad);
  card.classList.toggle("placed", placed(number) && !state().bad);
  card.querySelector("[data-place]").setAttribute("aria-pressed", String(placed(number)));
}

function draw() {
  const focused = document.activeElement?.dataset.chip;
  const { groups, bad } = state();
  const items = groups.map((group) => {
    const item = document.createElement("li");
    item.append(...group.map(chip));
    return item;
  });
  part("places").replaceChildren(...items);
  part("bucket").replaceChildren(...numbers().filter((number) => !placed(number)).map(chip));
  part("ranking").classList.toggle("all-bad", bad);
  answer().querySelector("[data-rank=bad]").setAttribute("aria-pressed", String(bad));
  answer().querySelector("[data-rank=equal]").disabled = groups.length < 2 && (groups.at(-1)?.length ?? 0) < 2;
  answer().querySelector("[data-rank=back]").disabled = !groups.length;
  numbers().forEach(mark);
  if (focused) task().querySelector(`[data-chip="${focused}"]`)?.focus({ preventScroll: true });
}

// What was done is said, stored in the field, and kept as a draft.
function change(groups, last, { bad = false, words = "" } = {}) {
  Object.assign(state(), { groups, last, bad });
  const input = answer().querySelector("input[type=hidden][name=order]");
  input.value = bad ? "all_bad" : writeOrder(groups);
  draw();
  input.dispatchEvent(new Event("change", { bubbles: true }));
  const place = last && placeWords(groups, last).replace(" =", ", tied");
  document.getElementById("said").textContent = words || (place ? `Response ${last} is ${place}` : "");
  return true;
}

function toggle(number) {
  if (number > count()) return false;
  const { groups } = state();
  if (!placed(number)) return change(placeLast(groups, number), number);
  const rest = takeOut(groups, number);
  return change(rest, rest.at(-1)?.at(-1) ?? null, { words: `Response ${number} is not placed` });
}

function back() {
  const { groups } = state();
  const number = groups.at(-1)?.at(-1);
  return number ? toggle(number) : false;
}

function equal() {
  const groups = tieLast(state().groups);
  return change(groups, groups.at(-1)?.at(-1) ?? null);
}

const allBad = () => change(state().groups, state().last, { bad: !state().bad, words: state().bad ? "Not all bad" : "All bad" });

function digit(number) {
  if (number > count()) return false;
  if (placed(number)) return tell(`Response ${number} has its place; ${keyWords(keysOf(task()).back)} takes the last one back.`, { bad: true });
  return toggle(number);
}

function move(by) {
  const number = Number(document.activeElement?.dataset.chip) || state().last;
  if (!number || !placed(number)) return false;
  return change(nudge(state().groups, number, by), number);
}

function drop(number, target) {
  if (target.how === "bucket") {
    if (placed(number)) toggle(number);
  } else {
    change(placeAt(state().groups, number, target.place, target.how), number);
  }
}

// Looking at a chip shows which text it stands for.
function point(event) {
  const number = event.target.closest?.("[data-chip]")?.dataset.chip;
  for (const card of task().querySelectorAll("[data-response]")) {
    card.classList.toggle("pointed", card.dataset.response === number);
  }
}

export const ranking = {
  dress() {
    answer().querySelector("input[type=hidden][name=order]").disabled = false;
    answer().querySelectorAll(".no-js input").forEach((input) => (input.disabled = true));
    const box = part("ranking");
    if (!box.dataset.dressed) {
      box.dataset.dressed = "yes";
      startDragging(box, drop);
      box.addEventListener("pointerover", point);
      box.addEventListener("focusin", point);
      task().addEventListener("click", ({ target }) => {
        const number = target.closest("[data-place]")?.dataset.place ?? target.closest("[data-chip]")?.dataset.chip;
        const act = { equal, back, bad: allBad }[target.closest("[data-rank]")?.dataset.rank];
        if (number) toggle(Number(number));
        else act?.();
      });
    }
    draw();
  },
  acts: { equal, back, bad: allBad },
  digit,
  move,
  missing() {
    const open = numbers().filter((number) => !placed(number));
    if (state().bad || !open.length) return "";
    return open.length === 1 ? `Response ${open[0]} has no place yet.` : `Responses ${open.join(", ")} have no place yet.`;
  },
};
