// The time that a person really spent on each task. It pauses while the page is hidden; a gap counts as IDLE at most.
import { task } from "./rank-page.js";

const IDLE = 60_000;
const spent = new WeakMap();
let node = null;
let last = null;

export function tick() {
  const now = performance.now();
  if (node && last !== null) spent.set(node, (spent.get(node) ?? 0) + Math.min(now - last, IDLE));
  last = document.hidden ? null : now;
}

/** From now on the time goes to the task on the screen. One that comes back goes on where it was. */
export function attend() {
  tick();
  node = task();
}

/** Milliseconds spent on a task so far. */
export function spentOn(which) {
  tick();
  return Math.round(spent.get(which) ?? 0);
}

/** Milliseconds since anybody was seen at the page. */
export function awayFor() {
  return last === null ? Infinity : performance.now() - last;
}

export function startClock() {
  attend();
  for (const name of ["pointerdown", "keydown", "wheel", "scroll", "touchstart"]) {
    document.addEventListener(name, tick, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", tick);
}
