// Keyboard helpers shared by pages. A leaf module: it imports nothing.

const TYPING = "input:not([type=radio]):not([type=checkbox]):not([type=button]):not([type=submit]), textarea, select, [contenteditable='true']";

/** True where a key press writes into a field. */
export function isTyping(element) {
  return element instanceof Element && element.matches(TYPING);
}

/** True while a key press belongs to a field, a dialog or the browser. */
export function isTaken(event) {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return true;
  if (document.querySelector("dialog[open]")) return true;
  return isTyping(event.target);
}

/**
 * The names of a pressed key, the likeliest first. The row of digits counts as digits whatever the keyboard's layout
 * writes there ("1", "Shift+1"), but a sign that it writes ("=", on some with Shift) comes first.
 */
export function keyNames(event) {
  const typed = event.key === " " ? "Space" : event.key;
  const name = typed.length === 1 ? typed.toLowerCase() : typed;
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  if (!digit) return [name];
  const place = event.shiftKey ? `Shift+${digit}` : digit;
  return /^\d$/.test(name) ? [place] : [name, place];
}

/** Call `act(names, event)` at each key press that belongs to the page. Where it returns false the press goes on. */
export function onKeys(act) {
  document.addEventListener("keydown", (event) => {
    if (isTaken(event) || (event.repeat && !event.key.startsWith("Arrow"))) return;
    if (act(keyNames(event), event) !== false) event.preventDefault();
  });
}

/** Bind single keys: {"1": fn, "Enter": fn}. A function that returns false lets the press through. */
export function bindKeys(keys) {
  onKeys((names, event) => {
    const name = names.find((each) => keys[each]);
    return name ? keys[name](event) : false;
  });
}

/** Follow the page's own link to what comes before ("prev") or after ("next"); false where there is none. */
export function turn(rel) {
  const link = document.querySelector(`main a[rel=${rel}][data-key]`);
  link?.click();
  return link !== null;
}

/** True where Enter already means something: a link, a button, a summary. */
export function actsOnEnter(element) {
  return element instanceof Element && element.closest("a[href], button, summary, [role=option]") !== null;
}
