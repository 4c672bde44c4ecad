// While somebody is at the page, the items on it and next stay theirs.
import { awayFor } from "./rank-clock.js";
import { addressOf, field, notice, task } from "./rank-page.js";
import { discard, held, lookAgain } from "./rank-queue.js";
import { ask } from "./rank-send.js";

const EVERY = 60_000;
const AWAY = 15 * 60_000; // after that the items may go to somebody who is there
let last = performance.now();

async function hold(node) {
  const body = new URLSearchParams({ token: field(node, "token") });
  const reply = await ask(addressOf(node, "beat/"), body).catch(() => null);
  if (reply?.status !== 409) return;
  if (node === task()) notice(reply.text.trim(), { name: "lease" });
  else discard(node);
}

async function beat() {
  if (document.hidden || awayFor() > AWAY) return;
  last = performance.now();
  await Promise.all(held().map(hold));
  lookAgain();
}

/** Hold the items every minute, three times at least in the time that they are lent for. */
export function startBeating() {
  const every = Math.min(EVERY, (Number(task().dataset.lease) * 1000) / 3);
  setInterval(beat, every);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && performance.now() - last > every / 2) beat();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) beat();
  });
}
