// One way to ask the server: the token of the cookie, and the header by which refusals come as sentences.

/** Signing in, in whatever tab, changes the cookie; the token that was rendered into the page is then void. */
function token() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
}

/** GET, or POST where there is a body (URLSearchParams); `outlive` lets it go on when the page is left. Rejects where
 * the network fails. */
export async function ask(address, body = null, { outlive = false } = {}) {
  const headers = { "HX-Request": "true" };
  if (body) headers["X-CSRFToken"] = token();
  const answer = await fetch(address, { method: body ? "POST" : "GET", headers, body, credentials: "same-origin", keepalive: outlive });
  return { status: answer.status, saved: answer.headers.get("Prefloop-Saved") === "1", text: await answer.text() };
}

/** The fields of a form as they are sent, without the token, which is added when they travel. */
export function fieldsOf(form, button = null) {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form, button)) {
    if (name !== "csrfmiddlewaretoken" && typeof value === "string") fields.append(name, value);
  }
  return fields;
}
