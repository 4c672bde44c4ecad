// What is chosen or written so far is kept on the server, a moment after the last change.
import { addressOf, answer, idOf, kindOf, task, tell } from "./rank-page.js";
import { ask, fieldsOf } from "./rank-send.js";
import { sayIn, sayOut } from "./rank-session.js";
import { say } from "./toast.js";

const PAUSE = { choice: 250, text: 900 }; // milliseconds
const WRITTEN = ["demonstration", "edit"];
const LONGEST = 5_000; // so long may who writes without a pause go unkept
let timer = 0;
let since = 0;
let said = "";
let going = Promise.resolve();

/** Keep the draft soon; each further change puts it off, for a while. */
export function keepSoon(what) {
  clearTimeout(timer);
  if (!timer) since = performance.now();
  timer = setTimeout(keep, performance.now() - since > LONGEST ? 0 : PAUSE[what]);
}

/** Keep the draft that is due at once: the task leaves the screen. */
export function keepNow() {
  if (timer) keep();
}

/**
 * The page is left: what is due goes while it still can, and before the next page is asked for, which is this one after
 * a reload. A browser takes no more than 64 kB along.
 */
export function startDrafts() {
  for (const leaving of ["beforeunload", "pagehide"]) window.addEventListener(leaving, leave);
}

function leave() {
  if (!timer || !answer()) return;
  dropDraft();
  const fields = fieldsOf(answer());
  ask(addressOf(task(), "draft/"), fields, { outlive: `${fields}`.length < 60_000 }).catch(() => null);
}

/** Keep nothing more: the answer itself is on its way. */
export function dropDraft() {
  clearTimeout(timer);
  timer = 0;
}

// What stands there as wrong with the answer matters more than that it was kept.
function report(words, bad = false) {
  const slot = document.getElementById("saved");
  if (slot.classList.contains("bad") && slot.textContent !== said) return;
  said = words;
  tell(words, { loud: false, bad });
}

async function keep() {
  dropDraft();
  const form = answer();
  if (!form || !idOf(task())) return;
  const node = task();
  const what = WRITTEN.includes(kindOf(node)) ? "Draft" : "Choice";
  const address = addressOf(node, "draft/");
  const fields = fieldsOf(form);
  // One after the other: a slow request must not arrive after the next one and undo it.
  going = going.then(() => ask(address, fields)).catch(() => null);
  const reply = await going;
  if (task() !== node || node.hasAttribute("aria-busy")) return;
  if (reply?.status === 204) {
    sayIn();
    return report(`${what} kept`);
  }
  report(`${what} not kept yet`, true);
  if (reply?.status === 401) sayOut(reply.text.trim());
  if (reply?.status === 409) say(reply.text.trim(), "warning");
}
