// Answers that the server has not confirmed yet. They are kept in the browser too, for a person and a project, so that
// a page opened later sends what a closed one could not. A leaf module.

/** Entries are {key, address, body, what, assignment}; one of the same key replaces the one before. */
export function openOutbox(person, project) {
  const prefix = `prefloop.unsent.${person}.${project}.`;
  const entries = new Map();

  function stored(act) {
    try {
      return act(localStorage);
    } catch {
      return null; // Closed or full: the answer is then kept as long as the page.
    }
  }

  for (const name of stored((store) => Object.keys(store)) ?? []) {
    if (!name.startsWith(prefix)) continue;
    const entry = stored((store) => JSON.parse(store.getItem(name)));
    if (entry?.key && entry.address?.startsWith("/")) entries.set(entry.key, entry);
  }

  return {
    put(entry) {
      entries.set(entry.key, entry);
      stored((store) => store.setItem(prefix + entry.key, JSON.stringify(entry)));
    },
    drop(key) {
      entries.delete(key);
      stored((store) => store.removeItem(prefix + key));
    },
    /** Out of the queue, but still in the browser: sent again when the page is opened anew. */
    hold(key) {
      entries.delete(key);
    },
    /** To the end: another may have more luck. */
    postpone(key) {
      const entry = entries.get(key);
      entries.delete(key);
      if (entry) entries.set(key, entry);
    },
    /** The entry of an assignment; undefined where there is none. */
    holds: (assignment) => [...entries.values()].find((entry) => entry.assignment === assignment),
    first: () => entries.values().next().value ?? null,
    get size() {
      return entries.size;
    },
  };
}
