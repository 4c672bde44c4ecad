// The shell: preferences, palette, keys, toasts, live blocks. An entry module: nothing imports it.
import { bindKeys } from "./keyboard.js";
import { startPalette } from "./palette.js";
import { watchSession } from "./session.js";
import { say, startToasts } from "./toast.js";

const root = document.documentElement;

function remember(name, value) {
  if (value) root.dataset[name] = value;
  else delete root.dataset[name];
  try {
    if (value) localStorage.setItem(`prefloop.${name}`, value);
    else localStorage.removeItem(`prefloop.${name}`);
  } catch {
    // The choice then lasts as long as the page.
  }
  showChoices();
  document.dispatchEvent(new CustomEvent("prefloop:preference", { detail: { name } }));
}

function showChoices() {
  for (const button of document.querySelectorAll("[data-prefer]")) {
    const { prefer, value } = button.dataset;
    button.setAttribute("aria-pressed", String((root.dataset[prefer] ?? "") === value));
  }
  const toggle = document.querySelector(".rail-toggle");
  toggle?.setAttribute("aria-expanded", String(root.dataset.rail !== "narrow"));
}

// "3 hours, 5 minutes ago" from the server becomes "3 h ago"; the exact time stays on hover.
const STEPS = [[60, "s"], [3600, "min", 60], [86400, "h", 3600], [86400 * 30, "d", 86400]];

function shortAge(element) {
  const age = (Date.now() - Date.parse(element.dateTime)) / 1000;
  if (!Number.isFinite(age)) return;
  if (age < 10) { element.textContent = "just now"; return; }
  for (const [limit, unit, size = 1] of STEPS) {
    if (age < limit) { element.textContent = `${Math.floor(age / size)} ${unit} ago`; return; }
  }
  element.textContent = element.dateTime.slice(0, 10);
}

function dress(part) {
  part.querySelectorAll("time[data-ago]").forEach(shortAge);
}

// A refusal arrives as a sentence: plain text, or the first sentence of an error page.
function sentenceOf(xhr) {
  const text = (xhr.responseText ?? "").trim();
  if (text && !text.startsWith("<") && text.length < 400) return text;
  const page = text.startsWith("<") ? new DOMParser().parseFromString(text, "text/html") : null;
  const found = page?.querySelector("[data-sentence], .notice p, .error")?.textContent.trim();
  if (found) return found;
  if (xhr.status === 403) return "You may not do this here. Ask an owner of the project for the role you need.";
  if (xhr.status === 404) return "This is no longer here. Reload the page to see what is.";
  if (xhr.status === 429) return "Too many requests in a short time. Wait a minute and try again.";
  return `The server could not answer (${xhr.status}). Nothing was changed; try again, or reload the page.`;
}

// Live blocks keep what a reader has opened and how far they have scrolled.
const opened = new Set();
const scrolled = new Map();

function keepPlace(target) {
  opened.clear();
  scrolled.clear();
  for (const details of target.querySelectorAll("details[id][open]:not([data-menu])")) opened.add(details.id);
  for (const box of target.querySelectorAll("[data-keep-scroll][id]")) {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
    scrolled.set(box.id, atEnd ? Infinity : box.scrollTop);
  }
}

function restorePlace() {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, top] of scrolled) {
    const box = document.getElementById(id);
    if (box) box.scrollTop = top === Infinity ? box.scrollHeight : top;
  }
}

// A search that stands in the list which its answer replaces keeps every letter, and asks again for those that were
// typed while the answer travelled.
let searched = null;

function keepSearch(target, sent) {
  const field = document.activeElement;
  const within = field?.matches("input[type=search][id]") && target.contains(field);
  searched = within ? { id: field.id, words: field.value, at: field.selectionEnd, asked: sent?.[field.name] ?? "" } : null;
}

function restoreSearch() {
  const field = searched && document.getElementById(searched.id);
  if (!field || field.value === searched.words) return;
  field.value = searched.words;
  field.setSelectionRange(searched.at, searched.at);
}

function searchOn() { // what came listens by now
  const field = searched && document.getElementById(searched.id);
  if (field && field.value !== searched.asked) field.dispatchEvent(new Event("input", { bubbles: true }));
  searched = null;
}

function stepRow(by) {
  const links = [...document.querySelectorAll("main .table tbody tr")].map((row) => row.querySelector("a[href]")).filter(Boolean);
  if (!links.length) return false;
  const row = document.activeElement?.closest("tr");
  const at = links.findIndex((link) => row?.contains(link));
  links[Math.max(0, Math.min(links.length - 1, at + by))].focus();
  return true;
}

startToasts();
watchSession();
showChoices();
dress(document);
const jump = startPalette();
const keysDialog = document.getElementById("keys");

document.addEventListener("click", (event) => {
  const chosen = event.target.closest?.("[data-prefer]");
  if (chosen) remember(chosen.dataset.prefer, chosen.dataset.value);
  else if (event.target.closest?.(".rail-toggle")) remember("rail", root.dataset.rail === "narrow" ? "" : "narrow");
  else if (event.target.closest?.("[data-open=palette]")) jump();
  else if (event.target.closest?.("[data-open=keys]")) keysDialog?.showModal();
  else if (event.target.matches?.("dialog[open]")) event.target.close();
  const copy = event.target.closest?.("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => say("Copied.", "success"));
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    jump();
  }
});

bindKeys({
  "?": () => keysDialog?.showModal(),
  j: () => stepRow(1),
  k: () => stepRow(-1),
  "/": () => {
    const search = document.querySelector("main input[type=search]");
    search?.focus();
    return search !== null;
  },
  Escape: () => {
    const menu = document.querySelector("details[data-menu][open]");
    if (!menu) return false;
    menu.open = false;
    menu.querySelector("summary").focus();
    return true;
  },
});

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  // A live block is not taken from under a finger: what is being pressed would get no click. It asks again soon.
  if (detail.target.matches("[hx-trigger^=every]:active")) detail.shouldSwap = false;
  keepPlace(detail.target);
  keepSearch(detail.target, detail.requestConfig.parameters);
});
document.addEventListener("htmx:afterSwap", restoreSearch);
document.addEventListener("htmx:afterSettle", () => { restorePlace(); searchOn(); });
document.addEventListener("htmx:load", (event) => dress(event.detail.elt.parentElement ?? document));
document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => {
  if (xhr.status !== 401) say(sentenceOf(xhr)); // 401 is said in session.js, with the way back in
});
document.addEventListener("htmx:sendError", () => say("The server did not answer. Your work on this page is kept; try again when the connection is back."));
