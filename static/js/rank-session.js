// A session that ended while the page stayed open: say so once, with the way back in.
import { forget } from "./rank-page.js";
import { signInLink } from "./session.js";
import { notice } from "./rank-page.js";
import { say } from "./toast.js";

let toast = null;

export function sayOut(sentence) {
  notice(sentence, { link: signInLink(), name: "refused" });
  toast = say(sentence, "warning", signInLink());
}

/** The server knows us (again). */
export function sayIn() {
  if (!toast) return;
  toast.remove();
  toast = null;
  forget("refused");
}
