// What is said of the whole answer: failures by number, and the corrected answer with what it changes.
import { showDifference } from "./rank-changes.js";
import { exactText, task } from "./rank-page.js";
import { answerBox } from "./rank-rag-state.js";

const part = (id) => task().querySelector(`#${id}`);
const field = () => part("corrected");
const given = () => exactText(answerBox()).replace(/\r\n?/g, "\n");
let timer = 0;
let last = null; // the failure named last

const selects = () => [...task().querySelectorAll(".failure select")];

/** Whether the failures have the focus. */
export const inFailures = () => Boolean(document.activeElement?.closest?.("#failures"));

export function toFailures() {
  part("failures").focus({ preventScroll: true });
  part("failures").scrollIntoView({ block: "nearest" });
  return true;
}

function set(select, value) {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
  document.getElementById("said").textContent = `${select.labels[0].lastChild.textContent}: ${select.selectedOptions[0].textContent}`;
  return true;
}

/** Say that an answer has the failure of this number, or has it not. */
export function failure(number) {
  const select = selects()[number - 1];
  if (!select) return false;
  last = select;
  return set(select, select.value === "" ? "0" : "");
}

export function failureSeverity(value) {
  if (!last?.isConnected) return false;
  return set(last, String(value));
}

/** Say what should have been found. */
export function missed() {
  part("missing").open = true;
  part("missed").focus();
  return true;
}

/** The correction begins with the answer. */
export function correct() {
  part("correction").open = true;
  begin();
  field().focus();
  return true;
}

function begin() {
  if (!field().value) field().value = given();
  showChanges();
}

function showChanges() {
  timer = 0;
  const changes = part("changes");
  changes.hidden = !field().value;
  if (!changes.hidden) showDifference(part("changes-text"), part("changes-line"), given(), field().value, "the answer");
}

/** Something was written in the correction. */
export function corrected() {
  if (!timer) timer = setTimeout(() => task().contains(field()) && showChanges(), 120);
}

/** A correction that changes nothing is none. */
export function dropUnchanged() {
  if (field().value.trim() === given().trim()) field().value = "";
}

export function startWhole(node) {
  part("correction").addEventListener("toggle", () => {
    if (part("correction").open) begin();
  });
  node.querySelector("[data-begin]").addEventListener("click", () => {
    field().value = given();
    field().dispatchEvent(new Event("input", { bubbles: true }));
    field().focus();
  });
  if (field().value) showChanges();
}
