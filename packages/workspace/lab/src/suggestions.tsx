/**
 * Code suggestions: a provider of JupyterLab's inline completer, which shows them as ghost text and takes one by Tab.
 * JupyterLab has no key that rejects one but keeps the caret, and none that is easy to reach for the next; those are
 * here, and a pause. The page sends what stands near the caret to the control plane, which asks the model.
 */
import type { ILabShell, JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, Notification } from "@jupyterlab/apputils";
import {
  type CompletionHandler,
  type ICompletionProviderManager,
  type IInlineCompleterFactory,
  type IInlineCompletionContext,
  type IInlineCompletionItem,
  type IInlineCompletionList,
  type IInlineCompletionProvider,
  type InlineCompleter,
  InlineCompletionTriggerKind,
} from "@jupyterlab/completer";
import { Text } from "@jupyterlab/coreutils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { IStatusBar } from "@jupyterlab/statusbar";
import { ReactWidget, UseSignal } from "@jupyterlab/ui-components";
import { Signal } from "@lumino/signaling";
import * as React from "react";
import * as api from "./api";
import { messageOf } from "./errors";
import { type Place, placeOf } from "./place";
import type { StudioState } from "./state";
import { Item } from "./statusbar";

const SUGGEST = "emr-studio:suggest-code";
const TOGGLE = "emr-studio:toggle-suggestions";
const PAUSED = "emr-studio-suggestions-paused";
const ACTIVE = ".jp-mod-inline-completer-active";
const OTHER_COMPLETER = ".jp-mod-completer-active";
/** Milliseconds without a key after which a suggestion is asked for. */
const DELAY = 400;
/** The control plane has its own limit, and says what was too slow. */
const LONGEST = 120_000;

/** JupyterLab takes an empty list for a new answer and leaves the old one half there; a failure changes nothing. */
class NoSuggestion extends Error {}

interface Parts {
  app: JupyterFrontEnd;
  shell: ILabShell;
  notebooks: INotebookTracker;
  state: StudioState;
  completions: ICompletionProviderManager;
  factory: IInlineCompleterFactory;
  bar: IStatusBar | null;
  palette: ICommandPalette | null;
}

export class Suggestions implements IInlineCompletionProvider {
  readonly name = "EMR Studio";
  readonly identifier = "emr-studio:suggestions";
  readonly schema = { type: "object" as const, default: { enabled: true, debouncerDelay: DELAY, timeout: LONGEST } };
  readonly changed = new Signal<this, void>(this);
  private readonly completers = new Set<InlineCompleter>();
  private pending: AbortController | undefined;
  private failure = "";

  constructor(private readonly parts: Parts) {
    parts.completions.registerInlineProvider(this);
    this.watch(parts.factory);
    this.addCommands();
    this.addStatus();
    document.addEventListener("keydown", (event) => this.onKey(event), true);
  }

  /** A model is set, and IAM lets this user ask it. */
  get isOffered(): boolean {
    return this.parts.state.about.value?.MayGetSuggestions === true;
  }

  get isPaused(): boolean {
    return window.localStorage.getItem(PAUSED) !== null;
  }

  async fetch(request: CompletionHandler.IRequest, context: IInlineCompletionContext): Promise<IInlineCompletionList<IInlineCompletionItem>> {
    this.pending?.abort();
    const byHand = context.triggerKind === InlineCompletionTriggerKind.Invoke;
    if (!byHand && (this.isPaused || !this.isOffered)) throw new NoSuggestion();
    const place = this.place(request, context);
    if (!place && byHand) Notification.info("Code is suggested in Python.", { autoClose: 4000 });
    if (!place) throw new NoSuggestion();
    const found = await this.ask(place, this.fileOf(context), byHand);
    if (!found.length && byHand) Notification.info("The model has no suggestion here.", { autoClose: 4000 });
    if (!found.length) throw new NoSuggestion();
    return { items: found.map((insertText) => ({ insertText })) };
  }

  /** By typing, what fails is in the status bar; by hand, it is said. */
  private async ask(place: Place, file: string, byHand: boolean): Promise<string[]> {
    const pending = (this.pending = new AbortController());
    try {
      const found = await api.suggestCode(place, file, pending.signal);
      this.tell("");
      return found;
    } catch (error) {
      if (pending.signal.aborted) throw new NoSuggestion();
      if (byHand) Notification.error(messageOf(error), { autoClose: 10_000 });
      this.tell(messageOf(error));
      throw error;
    }
  }

  private tell(failure: string): void {
    this.failure = failure;
    this.changed.emit();
  }

  private place(request: CompletionHandler.IRequest, context: IInlineCompletionContext): Place | undefined {
    const panel = this.notebook(context);
    if (!request.mimeType?.includes("python") && !willBePython(panel)) return undefined;
    const caret = Text.charIndexToJsIndex(request.offset, request.text);
    const content = panel?.content;
    if (!content) return placeOf(request.text, caret);
    const sources = (some: typeof content.widgets) =>
      some.filter((cell) => cell.model.type === "code").map((cell) => cell.model.sharedModel.getSource());
    const here = content.activeCellIndex;
    return placeOf(request.text, caret, sources(content.widgets.slice(0, here)), sources(content.widgets.slice(here + 1)));
  }

  private notebook(context: IInlineCompletionContext): NotebookPanel | undefined {
    return this.parts.notebooks.find((panel) => panel.id === context.widget.id);
  }

  private fileOf(context: IInlineCompletionContext): string {
    return this.notebook(context)?.context.path ?? (context.widget.title.label || "untitled.py");
  }

  /** Keep the completers that are made: they alone can put a suggestion away or show the next one. */
  private watch(factory: IInlineCompleterFactory): void {
    const make = factory.factory.bind(factory);
    factory.factory = (options) => {
      const made = make(options);
      this.completers.add(made);
      made.disposed.connect(() => this.completers.delete(made));
      return made;
    };
  }

  /** Before the editor: it would move the caret, and the notebook leave the cell. */
  private onKey(event: KeyboardEvent): void {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const host = event.target instanceof Element ? event.target.closest(ACTIVE) : null;
    const completer = [...this.completers].find((one) => one.isActive && one.editor?.host === host);
    if (!completer?.editor || host?.matches(OTHER_COMPLETER)) return;
    if (event.key === "Escape") {
      this.pending?.abort();
      completer.model?.reset();
    } else if ((completer.model?.completions?.items.length ?? 0) < 2) {
      return;
    } else if (event.key === "ArrowRight" || event.key === "ArrowDown") {
      completer.cycle("next");
    } else if (event.key === "ArrowLeft" || event.key === "ArrowUp") {
      completer.cycle("previous");
    } else {
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  private addCommands(): void {
    const { app, shell, completions, palette, state } = this.parts;
    const { commands } = app;
    commands.addCommand(SUGGEST, {
      label: "Suggest Code",
      caption: "Ask for code at the caret",
      execute: () => {
        if (shell.currentWidget) completions.inline?.invoke(shell.currentWidget.id);
      },
    });
    commands.addCommand(TOGGLE, {
      label: () => (this.isPaused ? "Resume Auto-Suggestions" : "Pause Auto-Suggestions"),
      caption: "Whether code is suggested while one types",
      isVisible: () => this.isOffered,
      execute: () => this.pause(!this.isPaused),
    });
    // An editor with a selection is not enabled, and what the browser does with the key goes on: Cmd+C copies as ever.
    const selector = ".jp-mod-completer-enabled";
    commands.addKeyBinding({ command: SUGGEST, keys: ["Alt C"], macKeys: ["Cmd C"], selector, preventDefault: false });
    for (const command of [SUGGEST, TOGGLE]) palette?.addItem({ command, category: "EMR Studio" });
    state.changed.connect(() => commands.notifyCommandChanged(TOGGLE));
  }

  /** Remembered by this browser, for this Workspace. */
  private pause(paused: boolean): void {
    if (paused) window.localStorage.setItem(PAUSED, "1");
    else window.localStorage.removeItem(PAUSED);
    if (paused) this.pending?.abort();
    this.parts.app.commands.notifyCommandChanged(TOGGLE);
    this.tell("");
  }

  private addStatus(): void {
    const { app, bar, state } = this.parts;
    const toggle = () => void app.commands.execute(TOGGLE);
    const item = ReactWidget.create(<UseSignal signal={this.changed}>{() => <Status suggestions={this} failure={this.failure} toggle={toggle} />}</UseSignal>);
    item.addClass("emrs-statusbar");
    const activeStateChanged = state.changed;
    bar?.registerStatusItem("emr-studio-lab:suggestions", { item, align: "right", rank: 900, isActive: () => this.isOffered, activeStateChanged });
  }
}

/** A notebook whose cells have no language yet, since no kernel has said it. */
function willBePython(panel: NotebookPanel | undefined): boolean {
  const spec = panel?.model?.getMetadata("kernelspec") as { language?: string } | undefined;
  return panel?.content.codeMimetype === "text/plain" && spec?.language === "python";
}

function Status({ suggestions, failure, toggle }: { suggestions: Suggestions; failure: string; toggle: () => void }) {
  if (suggestions.isPaused) return <Item text="Suggestions paused" title="Code is suggested by Alt+C alone. Resumes suggestions while you type." tone="quiet" open={toggle} />;
  const title = "Code is suggested while you type: Tab takes it, Esc rejects it, arrows show others. Pauses that.";
  return <Item text={failure ? "No suggestions" : "Suggestions on"} title={failure || title} tone={failure ? "bad" : "quiet"} open={toggle} />;
}
