// What stands on the annotating page: the task, what is said beside it. The leaf of the page's modules.

export const page = document.getElementById("rank");
export const task = () => document.getElementById("task");
export const answer = () => document.getElementById("judge");
export const skip = () => document.getElementById("skip");
export const kindOf = (node) => node?.dataset.kind ?? "";
export const idOf = (node) => node?.dataset.assignment ?? "";
export const field = (node, name) => node?.querySelector(`#judge [name=${name}]`)?.value ?? "";
export const addressOf = (node, what = "") => `${page.dataset.home}${idOf(node)}/${what}`;

/** Say a short word beside the progress; `loud` says it to screen readers too. */
export function tell(words, { loud = true, bad = false } = {}) {
  const slot = document.getElementById("saved");
  slot?.classList.toggle("bad", bad);
  if (slot) slot.textContent = words;
  if (loud) document.getElementById("said").textContent = words;
}

/** A sentence above the task, which stays there. `name` tells notices of one sort apart: a new one replaces the old. */
export function notice(sentence, { link = null, name = "" } = {}) {
  const box = document.getElementById("notice-shape").content.firstElementChild.cloneNode(true);
  box.querySelector("p").append(sentence, link ? " " : "", link ?? "");
  if (name) box.dataset.notice = name;
  forget(name);
  task().querySelector(".task-notices").prepend(box);
  return box;
}

/** Take a notice back. */
export function forget(name) {
  if (name) task().querySelector(`[data-notice=${name}]`)?.remove();
}

/** The task in an answer of the server; null where it holds none. */
export function readTask(html) {
  const found = new DOMParser().parseFromString(html, "text/html").getElementById("task");
  return found ? document.adoptNode(found) : null;
}

/** The sentence of a refusal, whatever it came in. */
export function sentenceOf(html, status) {
  if (html && !html.trimStart().startsWith("<") && html.length < 400) return html.trim();
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const found = parsed.querySelector("[data-conflict] p, [data-sentence], .notice p, .error")?.textContent.trim();
  if (found) return found;
  if (status === 403) return "You may not judge here any more. Ask an owner of the project for the role.";
  if (status === 404) return "This project is not open to you any more; what you wrote is still on this page.";
  return `The server could not take this (${status}); what you wrote is still on this page.`;
}

/** The exact text of a rendered one: of the element that holds it and its template. */
export function exactText(holder) {
  return holder?.querySelector("template[data-raw]")?.content.textContent ?? "";
}
