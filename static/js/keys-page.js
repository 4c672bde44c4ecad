// The page where keys are chosen: a field takes the key that is pressed in it. An entry module.
import { keyNames } from "./keyboard.js";

const NAMES = /^(.|Enter|Space|Backspace|Delete|Insert|Home|End|Shift\+\d)$/u;

document.getElementById("keys-form").addEventListener("keydown", (event) => {
  const field = event.target;
  if (!field.matches("input[data-usual]") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const name = keyNames(event).find((each) => NAMES.test(each));
  if (!name || event.key === "Tab") return;
  event.preventDefault();
  field.value = name;
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

document.getElementById("keys-form").addEventListener("input", ({ target }) => {
  const usual = target.dataset.usual;
  if (usual) target.nextElementSibling.textContent = target.value === usual ? "" : `usually ${usual}`;
});
