/** The SQL editor's tab: the catalog, a statement, what comes of it; saved queries and history. */
import { MainAreaWidget } from "@jupyterlab/apputils";
import { ReactWidget, UseSignal } from "@jupyterlab/ui-components";
import { UUID } from "@lumino/coreutils";
import { type ISignal, Signal } from "@lumino/signaling";
import * as React from "react";
import { keepRan } from "./api";
import { changesCatalog, usedBy } from "./catalog";
import { CatalogTree } from "./catalogTree";
import { csv, duration } from "./format";
import { sqlIcon } from "./icons";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import { nameOf } from "./queries";
import { oneStatement, type Outcome, runQuery } from "./query";
import { HistoryList, saveAs, SavedQueries, saveOver } from "./queryPanes";
import { RowsTable } from "./rowsTable";
import { NoSql } from "./sql";
import { SqlField, SqlFieldBox } from "./sqlField";
import type { Rows } from "./sqlKernel";
import type { First, Surroundings } from "./sqlTabs";

const LIMITS = [100, 500, 1000];
const PANES = ["Results", "Saved queries", "History"] as const;
type Pane = (typeof PANES)[number];

/** A tab's own state, as far as others than its page may know it. */
export class QueryTab {
  readonly field: SqlField;
  path: string | undefined;
  modified: string | undefined;
  private saved: string;
  private readonly _changed = new Signal<this, void>(this);

  constructor(
    readonly number: number,
    readonly first: First,
  ) {
    this.field = new SqlField(first.statement ?? "");
    this.path = first.path;
    this.modified = first.modified;
    this.saved = first.path && !first.dirty ? (first.statement ?? "") : "";
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get title(): string {
    return this.path ? nameOf(this.path) : `SQL ${this.number}`;
  }

  /** It differs from its file. */
  get isDirty(): boolean {
    return this.path !== undefined && this.field.statement !== this.saved;
  }

  isSaved(path: string | undefined, modified: string | undefined): void {
    this.path = path;
    this.modified = modified;
    this.saved = this.field.statement;
    this.edited();
  }

  movedTo(path: string | undefined): void {
    this.path = path;
    if (path === undefined) this.modified = undefined;
    this.edited();
  }

  edited(): void {
    this._changed.emit();
  }
}

function download(result: Rows): void {
  const url = URL.createObjectURL(new Blob([csv(result.columns, result.rows)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "results.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function Result({ result, taken }: { result: Rows; taken: string }) {
  if (result.columns.length === 0) return <p role="status">Done{taken}. The statement has no rows.</p>;
  const count = `${result.rows.length} ${result.rows.length === 1 ? "row" : "rows"}`;
  return (
    <>
      <div className="emrs-tools">
        <span role="status">
          {result.more ? `The first ${count}` : count}
          {taken}
        </span>
        <button className="jp-mod-styled emrs-button" title="The rows below, as CSV" onClick={() => download(result)}>
          Download results
        </button>
      </div>
      <RowsTable columns={result.columns.map((name) => ({ name }))} rows={result.rows} label="Result preview" nothing="NULL" />
    </>
  );
}

function Results({ outcome }: { outcome: Outcome | undefined }) {
  if (!outcome) return <Empty title="Nothing was run in this tab yet">Write a statement, then Run (Ctrl+Enter or Shift+Enter).</Empty>;
  const taken = outcome.seconds === undefined ? "" : ` in ${duration(outcome.seconds)}`;
  return (
    <>
      {outcome.state === "RUNNING" && <p aria-live="polite">{outcome.waiting ? "Waiting for its turn…" : "Running…"}</p>}
      {outcome.state === "CANCELLED" && <p role="status">Cancelled{taken}. What Spark did for it was stopped.</p>}
      <Failure text={outcome.error} />
      {outcome.result && <Result result={outcome.result} taken={taken} />}
      {outcome.unkept && <p className="emrs-warning">Not in the history: {outcome.unkept}</p>}
    </>
  );
}

/** Tabs as the ARIA practices have them: arrows move between them. */
function PaneTabs({ pane, choose }: { pane: Pane; choose: (pane: Pane) => void }) {
  const move = (event: React.KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = PANES[(PANES.indexOf(pane) + step + PANES.length) % PANES.length] ?? pane;
    choose(next);
    event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]")[PANES.indexOf(next)]?.focus();
  };
  return (
    <div className="emrs-tools emrs-tabs" role="tablist" aria-label="Below the statement" onKeyDown={move}>
      {PANES.map((name) => (
        <button key={name} role="tab" className="emrs-tab" aria-selected={name === pane} tabIndex={name === pane ? 0 : -1} onClick={() => choose(name)}>
          {name}
        </button>
      ))}
    </div>
  );
}

interface PageProps extends Surroundings {
  tab: QueryTab;
}

/** Run, cancel, and what came of it. */
function useRuns({ tab, state, kernel, catalog }: PageProps) {
  const [outcome, setOutcome] = React.useState<Outcome>();
  const [stop, setStop] = React.useState<AbortController>();
  const run = (text: string, limit: number) => {
    const statement = oneStatement(text);
    if (!state.hasSql || stop || !statement) return;
    const controller = new AbortController();
    setStop(controller);
    const asked = { statement, limit, cluster: state.clusterId ?? "" };
    void runQuery(kernel, asked, controller.signal, setOutcome, keepRan).then((ended) => {
      setStop(undefined);
      const database = usedBy(statement);
      if (ended.state !== "SUCCEEDED") return;
      if (database) catalog.current = database;
      if (changesCatalog(statement)) catalog.forget();
    });
    tab.edited();
  };
  return { outcome, run, cancel: stop && (() => stop.abort()) };
}

function QueryPage(props: PageProps) {
  const { tab, state, catalog, queries, open, moved } = props;
  const [limit, setLimit] = React.useState(LIMITS[0] ?? 100);
  const [pane, setPane] = React.useState<Pane>("Results");
  const { outcome, run, cancel } = useRuns(props);
  const [attempt, { failure }] = useAttempt();
  const [written, setWritten] = React.useState(tab.field.statement.trim() !== "");
  const possible = state.hasSql && !cancel;
  const start = (text = tab.field.chosen) => {
    if (!possible || !oneStatement(text)) return;
    setPane("Results");
    run(text, limit);
  };
  useOnce(() => {
    if (tab.first.run) start(tab.first.statement);
  });
  const save = () =>
    attempt(async () => {
      const text = tab.field.statement;
      if (tab.path) {
        const modified = await saveOver(queries, tab.path, text, tab.modified);
        if (modified !== undefined) tab.isSaved(tab.path, modified);
      } else {
        const saved = await saveAs(queries, text, "");
        if (saved) tab.isSaved(saved.path, saved.modified);
      }
    });
  const openSaved = async (path: string) => {
    const { text, modified } = await queries.read(path);
    open({ statement: text, path, modified });
  };
  return (
    <div className="emrs-query">
      <aside className="emrs-query-side" aria-label="Catalog">
        {state.hasSql ? (
          <CatalogTree catalog={catalog} preview={(statement) => open({ statement, run: true })} insert={(text) => tab.field.insert(text)} />
        ) : (
          <NoSql state={state} />
        )}
      </aside>
      <div className="emrs-query-main">
        <SqlFieldBox
          field={tab.field}
          catalog={catalog}
          possible={() => possible}
          run={() => start()}
          changed={(text) => {
            setWritten(text.trim() !== "");
            tab.edited();
          }}
        />
        <div className="emrs-tools">
          <button
            className="jp-mod-styled jp-mod-accept emrs-button"
            disabled={!possible || !written}
            title="Run what is selected, or all of it (Ctrl+Enter, Shift+Enter)"
            onClick={() => start()}
          >
            Run
          </button>
          <button className="jp-mod-styled emrs-button" disabled={!cancel} title="Stop the statement, and its work on the cluster" onClick={cancel}>
            Cancel
          </button>
          <label>
            Rows{" "}
            <select className="jp-mod-styled" value={limit} aria-label="Rows in the preview" onChange={(event) => setLimit(Number(event.target.value))}>
              {LIMITS.map((choice) => (
                <option key={choice}>{choice}</option>
              ))}
            </select>
          </label>
          <button
            className="jp-mod-styled emrs-button"
            disabled={!written}
            title={tab.path ? `Save it to ${tab.path}` : "Save it under a name, in the Workspace's folder queries"}
            onClick={save}
          >
            Save
          </button>
          <span className="emrs-quiet">{tab.path && (tab.isDirty ? `${tab.title}, not saved` : tab.title)}</span>
        </div>
        <Failure text={failure} />
        <PaneTabs pane={pane} choose={setPane} />
        <div role="tabpanel" aria-label={pane}>
          {pane === "Results" && <Results outcome={outcome} />}
          {pane === "Saved queries" && <SavedQueries queries={queries} open={openSaved} moved={moved} />}
          {pane === "History" && (
            <HistoryList
              mayRun={possible}
              edit={(statement) => tab.field.replace(statement)}
              run={(statement) => {
                tab.field.replace(statement);
                start(statement);
              }}
            />
          )}
        </div>
      </div>
    </div>
  );
}

let number = 0;

/** A tab for a statement; of a saved query, with its path. */
export function makeQueryEditor(surroundings: Surroundings, first: First): { widget: MainAreaWidget; tab: QueryTab } {
  number += 1;
  const tab = new QueryTab(number, first);
  const page = () => <QueryPage tab={tab} {...surroundings} />;
  const content = ReactWidget.create(
    <UseSignal signal={surroundings.state.changed}>{() => <UseSignal signal={tab.changed}>{page}</UseSignal>}</UseSignal>,
  );
  content.addClass("emrs-editor");
  const widget = new MainAreaWidget({ content });
  widget.id = `emr-studio-sql-${first.id ?? UUID.uuid4()}`;
  widget.title.icon = sqlIcon;
  widget.title.closable = true;
  const name = () => {
    widget.title.label = tab.title;
    widget.title.caption = tab.path ? `${tab.path}, for the attached cluster` : "Ask the attached cluster with SQL";
  };
  name();
  tab.changed.connect(name);
  return { widget, tab };
}

