/**
 * The end of the fields that a notebook's page begins with (the Workspace's `first_page.py`): once the notebook is open,
 * what was typed in them goes into the document, the caret into its cell, and they go away. Drafts of pages that ended
 * before that are put in too. Nothing takes the place of what somebody else wrote meanwhile: where both changed the same
 * piece of a cell, what was typed here stands in a new cell below.
 */
import type { ILabShell, JupyterFrontEnd } from "@jupyterlab/application";
import { type ISessionContextDialogs, Notification } from "@jupyterlab/apputils";
import { PageConfig } from "@jupyterlab/coreutils";
import { type INotebookTracker, type NotebookPanel, NotebookActions } from "@jupyterlab/notebook";
import type { Widget } from "@lumino/widgets";
import { carriedPlace, carry } from "./carry";

/** A cell in which something was typed: the text that it was on the page, and what it became. */
export interface Typed {
  id: string;
  kind: string;
  index: number;
  base: string;
  text: string;
}

/** What `first_page.js` offers. */
interface FirstPage {
  root: HTMLElement;
  path: string;
  /** Cells that are to run, by id. */
  runs: string[];
  typed(): Typed[];
  /** Nothing more is kept or guarded; `forget`: the draft is in the document. */
  end(forget: boolean): void;
  /** Leave the page to JupyterLab; the draft is kept. */
  giveUp(): void;
  isComposing(): boolean;
}

/** What is wanted of a shared notebook. */
export interface Cells {
  readonly cells: readonly { id: string; getSource(): string; updateSource(start: number, end: number, value?: string): void }[];
  insertCell(index: number, cell: { cell_type: string; source: string; metadata: Record<string, never> }): unknown;
  transact(change: () => void): void;
}

const PLACE = "emr-studio-notebook-place";
/** Milliseconds. What JupyterLab has not opened by then it was kept from, by a dialog or an error. */
const PATIENCE = 15_000;

declare global {
  interface Window {
    emrStudioFirstPage?: FirstPage;
  }
}

/** Put into the notebook what was typed; returns how many cells got a new one below. */
export function putIn(notebook: Cells, typed: readonly Typed[]): number {
  let apart = 0;
  notebook.transact(() => {
    for (const one of typed) {
      const at = notebook.cells.findIndex((cell) => cell.id === one.id);
      const cell = notebook.cells[at];
      const change = cell && carry(one.base, one.text, cell.getSource());
      if (cell && change) {
        if (change.start !== change.end || change.text) cell.updateSource(change.start, change.end, change.text);
        continue;
      }
      const below = cell ? at + 1 : Math.min(one.index + apart, notebook.cells.length);
      apart += 1;
      notebook.insertCell(below, { cell_type: one.kind, source: one.text, metadata: {} });
    }
  });
  return apart;
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

export class FirstPages {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly shell: ILabShell,
    private readonly notebooks: INotebookTracker,
    private readonly dialogs: ISessionContextDialogs | null,
  ) {
    notebooks.forEach((panel) => void this.onNotebook(panel));
    notebooks.widgetAdded.connect((_, panel) => void this.onNotebook(panel));
    shell.layoutModified.connect(() => this.keepPlace());
    void this.leave();
  }

  private async onNotebook(panel: NotebookPanel): Promise<void> {
    await panel.context.ready;
    await panel.revealed;
    const page = window.emrStudioFirstPage;
    try {
      if (page?.path === panel.context.localPath) await this.takeOver(page, panel);
    } catch (reason) {
      console.warn("The first cells are left to JupyterLab:", reason);
      page?.giveUp();
    }
    await this.takeDrafts(panel);
  }

  /** JupyterLab opened something else, or nothing. */
  private async leave(): Promise<void> {
    await this.app.restored;
    await pause(PATIENCE);
    const page = window.emrStudioFirstPage;
    if (!page || this.notebooks.find((panel) => panel.context.localPath === page.path)) return;
    const kept = `What you typed in ${page.path} is kept in this browser, and goes into the notebook when it is opened.`;
    if (page.typed().length) Notification.warning(kept, { autoClose: false });
    page.giveUp();
  }

  private async takeOver(page: FirstPage, panel: NotebookPanel): Promise<void> {
    await this.untilVisible(panel);
    let field = await this.untilShown(page, panel);
    while (page.isComposing()) await pause(20);
    // From here on nothing is waited for: whatever is typed next is for the real cell.
    if (document.activeElement !== field) field = this.field(page);
    const { content } = panel;
    const shared = content.model?.sharedModel;
    if (!shared) throw new Error("the notebook has no document");
    const id = field?.dataset["cell"];
    const index = shared.cells.findIndex((cell) => cell.id === id);
    const theirs = shared.cells[index]?.getSource() ?? "";
    const place = (offset: number) => (field ? carriedPlace(field.defaultValue, field.value, theirs, offset) : 0);
    const caret = field && ([field.selectionStart, field.selectionEnd].map(place) as [number, number]);
    const [top, scrolled] = [field?.getBoundingClientRect().top, page.root.querySelector(".emrs-first-cells")?.scrollTop];
    const apart = putIn(shared, page.typed());
    page.end(true);
    if (caret && index >= 0 && panel.isVisible) this.focus(panel, index, caret, top ?? 0);
    else if (scrolled) content.outerNode.scrollTop = scrolled;
    page.root.remove();
    // Its own wish for the focus was in vain till now, and so was that of a document that was opened meanwhile.
    if (!panel.isVisible) this.shell.activateById(this.front()?.id ?? panel.id);
    else if (!caret && document.activeElement === document.body) this.shell.activateById(panel.id);
    this.tell(apart);
    void this.run(panel, page.runs);
  }

  private field(page: FirstPage): HTMLTextAreaElement | undefined {
    const found = document.activeElement;
    return found instanceof HTMLTextAreaElement && page.root.contains(found) ? found : undefined;
  }

  /** The tab may lie behind another that JupyterLab restores first; or somebody has opened another meanwhile. */
  private async untilVisible(panel: NotebookPanel): Promise<void> {
    await this.app.restored;
    for (let tries = 0; tries < 100 && !panel.isVisible; tries += 1) {
      if (tries > 10 && this.front()) return;
      await pause(50);
    }
  }

  /** The document that is seen, if there is one. */
  private front(): Widget | undefined {
    return [...this.shell.widgets("main")].find((widget) => widget.isVisible);
  }

  /** The cell in which somebody types has its editor; returns the field. */
  private async untilShown(page: FirstPage, panel: NotebookPanel): Promise<HTMLTextAreaElement | undefined> {
    for (let tries = 0; tries < 5; tries += 1) {
      const field = this.field(page);
      const index = panel.content.widgets.findIndex((cell) => cell.model.id === field?.dataset["cell"]);
      const cell = panel.content.widgets[index];
      if (!field || !cell || !panel.isVisible) return field;
      panel.content.activeCellIndex = index;
      const shown = panel.content.scrollToItem(index).then(() => cell.ready);
      await Promise.race([shown, pause(2_000)]);
      // The field takes what is typed meanwhile: without an editor there is nowhere for the caret to go.
      if (this.field(page) === field && cell.editor) return field;
    }
    return this.field(page);
  }

  private focus(panel: NotebookPanel, index: number, caret: [number, number], top: number): void {
    const { content } = panel;
    content.deselectAll();
    content.activeCellIndex = index;
    const cell = content.activeCell;
    if (cell?.model.type === "markdown") (cell as unknown as { rendered: boolean }).rendered = false;
    content.mode = "edit";
    const editor = cell?.editor;
    if (!editor) return;
    const [start, end] = caret.map((offset) => editor.getPositionAt(offset));
    editor.focus();
    if (start && end) editor.setSelection({ start, end });
    content.outerNode.scrollTop += editor.host.getBoundingClientRect().top - top;
  }

  /** As if the keys had been pressed now; what has no kernel then says what to do. */
  private async run(panel: NotebookPanel, ids: readonly string[]): Promise<void> {
    if (!ids.length) return;
    const { sessionContext } = panel;
    await sessionContext.ready;
    const cells = ids.flatMap((id) => panel.content.widgets.find((cell) => cell.model.id === id) ?? []);
    await NotebookActions.runCells(panel.content, cells, sessionContext, this.dialogs ?? undefined);
  }

  /** What was typed into pages that ended too early, by this user. */
  private async takeDrafts(panel: NotebookPanel): Promise<void> {
    const prefix = `emr-studio-draft:${PageConfig.getOption("emrStudioUser")}:${panel.context.localPath}:`;
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    if (!keys.length) return;
    // Those of a page that is open in another tab are that page's.
    const locks = navigator.locks as LockManager | undefined;
    const held = new Set(((await locks?.query())?.held ?? []).map((lock) => lock.name));
    const shared = panel.content.model?.sharedModel;
    for (const key of keys) {
      const text = held.has(key) ? null : localStorage.getItem(key);
      if (text === null || !shared) continue;
      this.tell(putIn(shared, (JSON.parse(text) as { cells: Typed[] }).cells));
      localStorage.removeItem(key);
    }
  }

  private tell(apart: number): void {
    if (!apart) return;
    const message =
      "What you typed while JupyterLab was loading belongs to a cell that somebody else has changed. Both are kept: yours in a new cell below.";
    Notification.warning(message, { autoClose: false });
  }

  /** For the next page's fields. */
  private keepPlace(): void {
    const panel = this.notebooks.currentWidget;
    if (!panel?.isVisible || this.shell.mode !== "multiple-document") return;
    const { left, top, right, bottom } = panel.node.getBoundingClientRect();
    const place = { left, top, right: window.innerWidth - right, bottom: window.innerHeight - bottom };
    try {
      localStorage.setItem(PLACE, JSON.stringify(place));
    } catch {
      // A full or forbidden storage: they stand where they always stand.
    }
  }
}
