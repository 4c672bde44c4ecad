// Keyboard helpers shared by pages. A leaf module: it imports nothing.

const TYPING = "input:not([type=radio]):not([type=checkbox]):not([type=button]):not([type=submit]), textarea, select, [contenteditable='true']";

/** True while a key press belongs to a field, a dialog or the browser. */
export function isTaken(event) {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  return event.target instanceof Element && event.target.matches(TYPING);
}

/** Bind single keys: {"1": fn, "Enter": fn}. A function that returns false lets the press through. */
export function bindKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (isTaken(event) || event.repeat) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = keys[name];
    if (action && action(event) !== false) event.preventDefault();
  });
}

/** True where Enter already means something: a link, a button, a summary. */
export function actsOnEnter(element) {
  return element instanceof Element && element.closest("a[href], button, summary, [role=option]") !== null;
}
