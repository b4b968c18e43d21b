/** Where SQL is written: CodeMirror with Spark's language, in JupyterLab's colours. */
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, indentOnInput } from "@codemirror/language";
import { type Extension, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers, placeholder, tooltips } from "@codemirror/view";
import { jupyterTheme } from "@jupyterlab/codemirror";
import * as React from "react";
import type { Catalog } from "./catalog";
import { sparkSql } from "./sqlLanguage";

interface Options {
  catalog: Catalog;
  /** Whether the catalog can be asked at this moment. */
  possible: () => boolean;
  run: () => void;
  changed: (text: string) => void;
}

/** The popup is not inside of the tab, which would cut it off. */
const popup = EditorView.theme({
  "&.cm-tooltip, .cm-tooltip": {
    background: "var(--jp-layout-color1)",
    color: "var(--jp-ui-font-color1)",
    border: "1px solid var(--jp-border-color1)",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--jp-brand-color1)", color: "var(--jp-ui-inverse-font-color1)" },
});

function extensions({ catalog, possible, run, changed }: Options): Extension {
  const does = (work: () => void) => () => {
    work();
    return true;
  };
  const keys = ["Mod-Enter", "Ctrl-Enter", "Shift-Enter"].map((key) => ({ key, run: does(run) }));
  return [
    // Tab takes a completion; else it leads on to the next control, so that nobody is caught in here.
    Prec.highest(keymap.of([...keys, { key: "Tab", run: acceptCompletion }])),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
    lineNumbers(),
    history(),
    drawSelection(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    autocompletion(),
    sparkSql(catalog, possible),
    tooltips({ parent: document.body }),
    placeholder("SELECT …"),
    EditorView.contentAttributes.of({ "aria-label": "SQL statement", spellcheck: "false" }),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) changed(update.state.doc.toString());
    }),
    jupyterTheme,
    popup,
  ];
}

/** What a page does with the editor. */
export class SqlField {
  private view: EditorView | undefined;

  constructor(private text: string) {}

  get statement(): string {
    return this.view?.state.doc.toString() ?? this.text;
  }

  /** What is selected, or all of it. */
  get chosen(): string {
    const state = this.view?.state;
    const selected = state?.selection.main;
    return state && selected && !selected.empty ? state.sliceDoc(selected.from, selected.to) : this.statement;
  }

  replace(text: string): void {
    this.text = text;
    this.view?.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text }, selection: { anchor: text.length } });
    this.focus();
  }

  insert(text: string): void {
    this.view?.dispatch(this.view.state.replaceSelection(text));
    this.focus();
  }

  focus(): void {
    this.view?.focus();
  }

  /** Be in `parent` until the answer is called. */
  place(parent: HTMLElement, options: Options): () => void {
    const view = new EditorView({ parent, doc: this.text, extensions: extensions(options) });
    this.view = view;
    return () => {
      this.text = view.state.doc.toString();
      view.destroy();
      this.view = undefined;
    };
  }
}

export function SqlFieldBox({ field, ...options }: Options & { field: SqlField }) {
  const place = React.useRef<HTMLDivElement>(null);
  // It lives as long as the page does; what it calls is always that of the last drawing.
  const last = React.useRef(options);
  React.useEffect(() => {
    last.current = options;
  });
  React.useEffect(() => {
    if (!place.current) return;
    return field.place(place.current, {
      catalog: last.current.catalog,
      possible: () => last.current.possible(),
      run: () => last.current.run(),
      changed: (text) => last.current.changed(text),
    });
  }, [field]);
  return <div className="emrs-sql" ref={place} />;
}
