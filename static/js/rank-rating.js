// Values on scales: up and down go from field to field, digits and left and right set the value.
import { task } from "./rank-page.js";

const scales = () => [...task().querySelectorAll("[data-scale]")];
const radios = (scale) => [...scale.querySelectorAll("input[type=radio]")];
const typed = (scale) => scale.querySelector("input[type=number]");
let at = null;

function given(scale) {
  return typed(scale) ? typed(scale).value !== "" && typed(scale).checkValidity() : radios(scale).some((input) => input.checked);
}

/** The field that a digit goes to: the one in focus, else the one last left, else the first that is open. */
function current() {
  const focused = document.activeElement?.closest("[data-scale]");
  if (focused) return focused;
  if (at?.isConnected) return at;
  return scales().find((scale) => !given(scale)) ?? scales()[0];
}

/** Go to a field. */
export function enter(scale) {
  at = scale;
  const input = typed(scale) ?? radios(scale).find((each) => each.checked) ?? radios(scale)[0];
  input.focus({ preventScroll: true });
  scale.scrollIntoView({ block: "nearest" });
}

function check(input) {
  if (!input) return false;
  input.checked = true;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

// A digit is the value; 0 is ten where the scale begins above it. Below zero, 1 stands for the lowest step.
function step(scale, number) {
  const [low, high] = [Number(scale.dataset.low), Number(scale.dataset.high)];
  if (low < 0) return radios(scale)[number - 1];
  const value = number === 10 && low === 0 ? 0 : number;
  return value <= high ? radios(scale).find((input) => Number(input.value) === value) : undefined;
}

export const rating = {
  dress() {
    at = null;
  },
  acts: {},
  stops: () => scales(),
  digit(number) {
    const scale = current();
    if (!scale || typed(scale) || !check(step(scale, number))) return false;
    enter(scales()[Math.min(scales().indexOf(scale) + 1, scales().length - 1)]);
    return true;
  },
  move(by) {
    const scale = current();
    if (!scale || typed(scale)) return false;
    const all = radios(scale);
    const now = all.findIndex((input) => input.checked);
    const next = now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, now + by));
    check(all[next]);
    enter(scale);
    return true;
  },
  missing() {
    const open = scales().filter((scale) => !given(scale));
    if (!open.length) return "";
    enter(open[0]);
    return open.length === 1 ? "One field is still open." : `${open.length} fields are still open.`;
  },
};
