// Runs before the first paint, so that no page flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  root.dataset.js = "";
  try {
    for (const name of ["theme", "reading", "density", "rail"]) {
      const value = localStorage.getItem(`prefloop.${name}`);
      if (value) root.dataset[name] = value;
    }
  } catch {
    // Storage may be closed to us; the system's preference then holds.
  }
})();
