/* In a Workspace's page before JupyterLab: keeps what is typed, and lets nothing of JupyterLab take it away. See first_page.py. */
(() => {
  afterPaint();
  /** Pixels, as in first_page.css. */
  const [LINE, PADDING] = [18.2, 8];
  const root = document.getElementById("emrs-first");
  try {
    begin();
  } catch (error) {
    console.warn("The first cells are left to JupyterLab:", error);
    root?.remove();
  }

  function begin() {
    const fields = [...root.querySelectorAll("textarea")];
    const { path, user } = root.dataset;
    const prefix = `emr-studio-draft:${user}:${path}:`;
    const id = prefix + Math.random().toString(36).slice(2);
    const runs = [];
    let left = () => undefined;
    let isOver = false;
    let composing = false;
    let pointed = 0;
    let tabbed = 0;

    // While this page lives, another tab leaves its draft alone.
    const locks = navigator.locks;
    locks?.request(id, () => new Promise((done) => (left = done))).catch(() => undefined);

    const typed = () =>
      fields.flatMap((field, index) =>
        field.value === field.defaultValue
          ? []
          : [{ id: field.dataset.cell, kind: field.dataset.kind, index, base: field.defaultValue, text: field.value }],
      );
    const keep = () => {
      try {
        const cells = typed();
        if (cells.length) localStorage.setItem(id, JSON.stringify({ at: Date.now(), cells }));
        else localStorage.removeItem(id);
      } catch {
        // A full or forbidden storage: what is typed is on the page alone.
      }
    };
    const fit = (field) => {
      field.rows = field.value.split("\n").length;
      if (field.wrap === "soft") field.rows = Math.max(field.rows, Math.ceil((field.scrollHeight - PADDING) / LINE));
    };
    const show = (field, mark) => (field.previousElementSibling.textContent = mark);

    /** What was typed in a page that is gone, into fields of this one that nobody has touched. */
    const adopt = async () => {
      const held = locks ? (await locks.query()).held.map((lock) => lock.name) : [];
      if (isOver) return;
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(prefix) || key === id || held.includes(key)) continue;
        const draft = JSON.parse(localStorage.getItem(key));
        const rest = draft.cells.filter((cell) => {
          const field = fields.find((one) => one.dataset.cell === cell.id);
          if (!field || field.value !== field.defaultValue || field.defaultValue !== cell.base) return true;
          field.value = cell.text;
          fit(field);
          return false;
        });
        keep();
        if (rest.length) localStorage.setItem(key, JSON.stringify({ ...draft, cells: rest }));
        else localStorage.removeItem(key);
      }
    };

    const run = (field) => {
      if (field.dataset.kind !== "code" || runs.includes(field.dataset.cell)) return;
      runs.push(field.dataset.cell);
      show(field, "[*]:");
    };
    const insert = (text) => document.execCommand("insertText", false, text);
    const onKey = (event) => {
      const field = event.target;
      if (!fields.includes(field)) return;
      // JupyterLab's own keys are for its own notebook.
      event.stopImmediatePropagation();
      if (event.isComposing) return;
      const line = field.value.slice(0, field.selectionStart).split("\n").pop();
      if (event.key === "Enter" && (event.shiftKey || event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        run(field);
        if (event.shiftKey) fields[fields.indexOf(field) + 1]?.focus();
      } else if (event.key === "Enter" && field.dataset.kind === "code") {
        event.preventDefault();
        insert("\n" + /^[ \t]*/.exec(line)[0]);
      } else if (event.key === "Tab" && !event.shiftKey && field.dataset.kind === "code") {
        // As in JupyterLab: it indents, or would complete; Escape, then Tab leaves the cell.
        event.preventDefault();
        if (!line.trim()) insert("    ");
      } else if (event.key === "Escape") {
        pointed = Date.now();
        field.blur();
        root.focus();
      } else if (event.key === "Tab") tabbed = Date.now();
      else if (event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey)) event.preventDefault();
    };
    const onInput = (event) => {
      const field = event.target;
      fit(field);
      const at = runs.indexOf(field.dataset.cell);
      if (at >= 0) {
        // It would run what it was not asked to run.
        runs.splice(at, 1);
        show(field, "[ ]:");
      }
      keep();
    };
    const onPoint = () => (pointed = Date.now());
    /** JupyterLab gives the focus to what it opens; a person who types keeps it. */
    const onBlur = (event) => {
      const field = event.target;
      setTimeout(() => {
        const now = document.activeElement;
        const wanted = Date.now() - Math.max(pointed, tabbed) < 1000;
        if (isOver || wanted || !document.hasFocus() || root.contains(now) || now?.closest(".jp-Dialog")) return;
        field.focus({ preventScroll: true });
      });
    };

    /** No key and no click reaches the documents of JupyterLab below. */
    const dock = () => document.getElementById("jp-main-dock-panel");
    const watch = new MutationObserver(() => {
      const found = dock();
      if (!found) return;
      found.inert = true;
      watch.disconnect();
    });

    const end = (forget) => {
      if (isOver) return;
      isOver = true;
      watch.disconnect();
      clearTimeout(late);
      window.removeEventListener("keydown", onKey, true);
      window.removeEventListener("pointerdown", onPoint, true);
      window.removeEventListener("error", onError, true);
      const found = dock();
      if (found) found.inert = false;
      if (forget) localStorage.removeItem(id);
      left();
      delete window.emrStudioFirstPage;
    };
    const giveUp = () => {
      end(false);
      root.remove();
    };
    const onError = (event) => {
      if (event.target?.tagName === "SCRIPT" && event.target.src.includes("/static/lab/")) giveUp();
    };
    const late = setTimeout(giveUp, 120_000);

    place();
    fields.forEach(fit);
    root.tabIndex = -1;
    fields.forEach((field) => field.addEventListener("blur", onBlur));
    root.addEventListener("input", onInput);
    root.addEventListener("compositionstart", () => (composing = true));
    root.addEventListener("compositionend", () => (composing = false));
    window.addEventListener("keydown", onKey, true);
    window.addEventListener("pointerdown", onPoint, true);
    window.addEventListener("error", onError, true);
    watch.observe(document.body, { childList: true });
    adopt().catch((error) => console.warn("Drafts of this notebook could not be read:", error));

    window.emrStudioFirstPage = { root, path, runs, typed, end, giveUp, isComposing: () => composing };
  }

  /**
   * JupyterLab begins with the page's load event, and its scripts then hold up the browser's first frame. So it gets the
   * event once that frame with the fields in it is there. A page in the background has no frames.
   */
  function afterPaint() {
    const begin = (event) => {
      if (document.hidden) return;
      event.stopImmediatePropagation();
      let told = false;
      const tell = () => {
        if (!told) window.dispatchEvent(new Event("load"));
        told = true;
      };
      requestAnimationFrame(() => setTimeout(tell));
      setTimeout(tell, 500);
    };
    window.addEventListener("load", begin, { once: true, capture: true });
  }

  /** Where the notebook was when it was seen last in this browser. */
  function place() {
    const insets = JSON.parse(localStorage.getItem("emr-studio-notebook-place") ?? "null");
    if (!insets) return;
    for (const side of ["left", "top", "right", "bottom"]) {
      const size = side === "left" || side === "right" ? innerWidth : innerHeight;
      if (insets[side] >= 0 && insets[side] < size / 2) root.style[side] = `${insets[side]}px`;
    }
  }
})();
