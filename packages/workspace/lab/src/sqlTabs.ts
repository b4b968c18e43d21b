/** The SQL editor's tabs, and what they share. The editor itself is loaded with the first of them. */
import { type MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import type { ServiceManager } from "@jupyterlab/services";
import { Catalog, DEFAULT_DATABASE } from "./catalog";
import { Queries } from "./queries";
import type { QueryTab } from "./queryEditor";
import { SqlKernel } from "./sqlKernel";
import type { StudioState } from "./state";

/** What a tab begins with. */
export interface First {
  statement?: string;
  /** Of a saved query, and when it was last changed. */
  path?: string;
  modified?: string;
  /** The statement differs from what is saved. */
  dirty?: boolean;
  /** The same tab as before the page was loaded again. */
  id?: string;
  /** Run it at once. */
  run?: boolean;
}

/** What all SQL tabs share. */
export interface Surroundings {
  state: StudioState;
  kernel: SqlKernel;
  catalog: Catalog;
  queries: Queries;
  /** Open another tab. */
  open: (first: First) => void;
  /** A saved query has another path, or none any more. */
  moved: (from: string, to: string | undefined) => void;
}

export class SqlTabs {
  readonly catalog: Catalog;
  readonly tracker = new WidgetTracker<MainAreaWidget>({ namespace: "emr-studio-sql" });
  private readonly kernel: SqlKernel;
  private readonly queries: Queries;
  private readonly tabs = new Map<MainAreaWidget, QueryTab>();

  constructor(
    services: ServiceManager.IManager,
    private readonly state: StudioState,
    private readonly show: (widget: MainAreaWidget) => void,
  ) {
    this.kernel = new SqlKernel(services);
    this.catalog = new Catalog(this.kernel);
    this.queries = new Queries(services.contents);
  }

  /** Its session ended with its cluster, and the catalog is another's. */
  forget(): void {
    this.kernel.forget();
    this.catalog.forget(DEFAULT_DATABASE);
  }

  /** Open a tab; a saved query that is open already comes to the front. */
  async open(first: First = {}): Promise<void> {
    const { makeQueryEditor } = await import("./queryEditor");
    const there = [...this.tabs].find(([, tab]) => first.path !== undefined && tab.path === first.path);
    if (there) return this.show(there[0]);
    const { state, kernel, catalog, queries } = this;
    const open = (next: First) => void this.open(next);
    const moved: Surroundings["moved"] = (from, to) => this.tabs.forEach((tab) => tab.path === from && tab.movedTo(to));
    const { widget, tab } = makeQueryEditor({ state, kernel, catalog, queries, open, moved }, first);
    this.tabs.set(widget, tab);
    widget.disposed.connect(() => this.tabs.delete(widget));
    tab.changed.connect(() => void this.tracker.save(widget));
    void this.tracker.add(widget);
    this.show(widget);
  }

  /** What a tab begins with after the page was loaded again: what it has now. */
  firstOf(widget: MainAreaWidget): First {
    const tab = this.tabs.get(widget);
    if (!tab) return {};
    const saved = tab.path ? { path: tab.path, dirty: tab.isDirty, ...(tab.modified ? { modified: tab.modified } : {}) } : {};
    return { id: widget.id.replace(/^emr-studio-sql-/, ""), statement: tab.field.statement, ...saved };
  }
}
