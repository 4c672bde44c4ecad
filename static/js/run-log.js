// The log of a run, followed: only what was written since is fetched, and appended. An entry module.
const EVERY = 2000;
const KEEP = 400_000; // characters that stay on the page; the file has them all

const box = document.querySelector("[data-log]");
let from = Number(box.dataset.from);
let begun = from > 0;

function append(text) {
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
  if (!begun) box.textContent = "";
  begun = true;
  box.append(text);
  while (box.childNodes.length > 1 && box.textContent.length > KEEP) box.firstChild.remove();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

// Answers whether there may be more, and how soon it is worth asking.
async function next() {
  const answer = await fetch(`${box.dataset.log}?from=${from}`, { headers: { Accept: "application/json" } });
  if (!answer.ok || !answer.headers.get("Content-Type")?.includes("json")) return { over: answer.status < 500 };
  const { text, next: after, over } = await answer.json();
  if (text) append(text);
  const moved = after !== from;
  from = after;
  return { over, moved };
}

async function follow() {
  let state = { over: false };
  try {
    if (!document.hidden) state = await next();
  } catch {
    // The server did not answer; the log waits for it.
  }
  if (!state.over) setTimeout(follow, state.moved ? 0 : EVERY);
}

box.closest("details").addEventListener("toggle", () => { box.scrollTop = box.scrollHeight; }, { once: true });
box.scrollTop = box.scrollHeight;
if ("live" in box.dataset) follow();
