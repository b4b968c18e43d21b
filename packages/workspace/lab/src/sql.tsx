/** SQL explorer: the catalog of the attached cluster, and a tab to ask it with SQL. */
import { MainAreaWidget } from "@jupyterlab/apputils";
import { ReactWidget, UseSignal } from "@jupyterlab/ui-components";
import * as React from "react";
import { csv } from "./format";
import { sqlIcon } from "./icons";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import type { Column, Rows, SqlKernel, Table } from "./sqlKernel";
import type { StudioState } from "./state";

const LIMITS = [100, 500, 1000];

/** `name` as SQL spells any name. */
export function quoted(name: string): string {
  return "`" + name.replaceAll("`", "``") + "`";
}

interface TreeProps {
  kernel: SqlKernel;
  filter: string;
  openEditor: (statement?: string) => void;
}

function has(text: string, filter: string): boolean {
  return text.toLowerCase().includes(filter.trim().toLowerCase());
}

function TableNode({ database, table, kernel, openEditor }: Omit<TreeProps, "filter"> & { database: string; table: Table }) {
  const [columns, setColumns] = React.useState<Column[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const place = `${quoted(database)}.${quoted(table.name)}`;
  const toggle = (event: React.SyntheticEvent<HTMLDetailsElement>) => {
    if (event.currentTarget.open && !columns) attempt(async () => setColumns(await kernel.columns(database, table.name)));
  };
  return (
    <li>
      <details onToggle={toggle}>
        <summary title={`${table.type.toLowerCase()} ${place}: open for its columns`}>{table.name}</summary>
        <button
          className="jp-mod-styled emrs-button"
          aria-label={`Preview ${table.name}`}
          title="Its first rows, in a tab"
          onClick={() => openEditor(`SELECT * FROM ${place}`)}
        >
          Preview
        </button>
        {busy && <p className="emrs-quiet">Loading columns…</p>}
        <Failure text={failure} />
        <ul className="emrs-tree" aria-label={`Columns of ${table.name}`}>
          {columns?.map((column) => (
            <li key={column.name}>
              {column.name} <span className="emrs-quiet">{column.type}</span>
            </li>
          ))}
        </ul>
      </details>
    </li>
  );
}

function DatabaseNode({ database, kernel, filter, openEditor }: TreeProps & { database: string }) {
  const [tables, setTables] = React.useState<Table[]>();
  const [attempt, { failure }] = useAttempt();
  // Temporary views belong to a session, this one's own, and would be listed in every database.
  const read = () => attempt(async () => setTables((await kernel.tables(database)).filter((table) => !table.temporary)));
  useOnce(read);
  const shown = tables?.filter((table) => has(`${database}.${table.name}`, filter));
  if (filter && shown?.length === 0 && !has(database, filter)) return null;
  return (
    <li>
      <details open>
        <summary title={`Database ${database}`}>{database}</summary>
        {!tables && !failure && <p className="emrs-quiet">Loading tables…</p>}
        {tables?.length === 0 && <p className="emrs-quiet">No tables</p>}
        <Failure text={failure} retry={read} />
        <ul className="emrs-tree" aria-label={`Tables of ${database}`}>
          {shown?.map((table) => (
            <TableNode key={table.name} database={database} table={table} kernel={kernel} openEditor={openEditor} />
          ))}
        </ul>
      </details>
    </li>
  );
}

function Catalog({ kernel, openEditor }: Omit<TreeProps, "filter">) {
  const [filter, setFilter] = React.useState("");
  const [databases, setDatabases] = React.useState<string[]>();
  const [again, setAgain] = React.useState(0);
  const [attempt, { busy, failure }] = useAttempt();
  const read = () =>
    attempt(async () => {
      setDatabases(await kernel.databases());
      setAgain((count) => count + 1);
    });
  useOnce(read);
  return (
    <>
      <div className="emrs-tools">
        <button className="jp-mod-styled emrs-button" title="Open a tab to write SQL in" onClick={() => openEditor()}>
          Open editor
        </button>
        <button className="jp-mod-styled emrs-button" title="Ask the catalog again" disabled={busy} onClick={read}>
          Refresh
        </button>
      </div>
      <input
        className="jp-mod-styled emrs-filter"
        type="search"
        placeholder="Filter tables"
        aria-label="Filter tables"
        value={filter}
        onChange={(event) => setFilter(event.target.value)}
      />
      {!databases && busy && <p aria-live="polite">Starting a session on the cluster…</p>}
      <Failure text={failure} retry={read} />
      <ul className="emrs-tree" aria-label="Databases">
        {databases?.map((database) => (
          <DatabaseNode key={`${database} ${again}`} database={database} kernel={kernel} filter={filter} openEditor={openEditor} />
        ))}
      </ul>
    </>
  );
}

interface ExplorerProps {
  state: StudioState;
  kernel: SqlKernel;
  openEditor: (statement?: string) => void;
}

/** Why there is no SQL here, and what to do instead; or that this is not known yet. Nothing of it can be used. */
export function NoSql({ state }: { state: StudioState }) {
  const { value, error } = state.sql;
  if (error) return <Failure text={error} retry={() => void state.readSql()} />;
  if (!value || value.Available) return <p aria-live="polite">Loading…</p>;
  return (
    <Empty title={value.Title}>
      <p>{value.Reason}</p>
      {value.Advice && <p>{value.Advice}</p>}
    </Empty>
  );
}

export function SqlExplorer({ state, kernel, openEditor }: ExplorerProps) {
  if (!state.hasSql) return <NoSql state={state} />;
  // Begins anew with each cluster.
  return <Catalog key={state.clusterId} kernel={kernel} openEditor={openEditor} />;
}

// --- The editor's tab

function download(result: Rows): void {
  const url = URL.createObjectURL(new Blob([csv(result.columns, result.rows)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "results.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function Result({ result }: { result: Rows }) {
  if (result.columns.length === 0) return <p role="status">Done. The statement has no rows.</p>;
  const count = `${result.rows.length} ${result.rows.length === 1 ? "row" : "rows"}`;
  return (
    <>
      <div className="emrs-tools">
        <span role="status">{result.more ? `The first ${count}` : count}</span>
        <button className="jp-mod-styled emrs-button" title="The rows below, as CSV" onClick={() => download(result)}>
          Download results
        </button>
      </div>
      <div className="emrs-rows" tabIndex={0} role="region" aria-label="Result preview">
        <table>
          <thead>
            <tr>
              {result.columns.map((column, index) => (
                <th key={index}>{column}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {result.rows.map((row, index) => (
              <tr key={index}>
                {row.map((value, place) => (
                  <td key={place}>{value ?? <span className="emrs-quiet">NULL</span>}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

interface EditorProps {
  state: StudioState;
  kernel: SqlKernel;
  first: string;
}

function SqlEditor({ state, kernel, first }: EditorProps) {
  const [statement, setStatement] = React.useState(first);
  const [limit, setLimit] = React.useState(LIMITS[0] ?? 100);
  const [result, setResult] = React.useState<Rows>();
  const [attempt, { busy, failure }] = useAttempt();
  const possible = state.hasSql && !busy && statement.trim() !== "";
  const run = () => {
    if (!possible) return;
    setResult(undefined);
    attempt(async () => setResult(await kernel.run(statement.trim().replace(/;\s*$/, ""), limit)));
  };
  // A preview runs as it opens.
  useOnce(() => {
    if (first) run();
  });
  return (
    <>
      <textarea
        className="emrs-sql"
        aria-label="SQL statement"
        placeholder="SELECT …"
        spellCheck={false}
        value={statement}
        rows={6}
        onChange={(event) => setStatement(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            run();
          }
        }}
      />
      <div className="emrs-tools">
        <button className="jp-mod-styled jp-mod-accept emrs-button" disabled={!possible} title="Run the statement (Ctrl+Enter)" onClick={run}>
          Run
        </button>
        {busy && (
          <button className="jp-mod-styled emrs-button" title="Interrupt the statement" onClick={() => void kernel.interrupt()}>
            Stop
          </button>
        )}
        <label>
          Rows{" "}
          <select className="jp-mod-styled" value={limit} aria-label="Rows in the preview" onChange={(event) => setLimit(Number(event.target.value))}>
            {LIMITS.map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        </label>
        {busy && <span aria-live="polite">Running…</span>}
      </div>
      {!state.hasSql && <NoSql state={state} />}
      <Failure text={failure} />
      {result && !failure && <Result result={result} />}
    </>
  );
}

let number = 0;

/** A tab with a statement and its result; with a first statement it runs at once. */
export function makeSqlEditor(state: StudioState, kernel: SqlKernel, first = ""): MainAreaWidget {
  const content = ReactWidget.create(
    <UseSignal signal={state.changed}>{() => <SqlEditor state={state} kernel={kernel} first={first} />}</UseSignal>,
  );
  content.addClass("emrs-editor");
  const widget = new MainAreaWidget({ content });
  number += 1;
  widget.id = `emr-studio-sql-${number}`;
  widget.title.label = `SQL ${number}`;
  widget.title.caption = "Ask the attached cluster with SQL";
  widget.title.icon = sqlIcon;
  widget.title.closable = true;
  return widget;
}
