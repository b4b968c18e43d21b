/** Beside the results of the SQL editor: the saved queries, and what was run before. */
import { Dialog, InputDialog, showDialog } from "@jupyterlab/apputils";
import * as React from "react";
import * as api from "./api";
import { duration } from "./format";
import { Empty, Failure, useAttempt, useOnce } from "./panel";
import { nameOf, pathOf, type Queries, type Saved, Taken } from "./queries";
import type { Ran } from "./types";

interface ButtonProps {
  label: string;
  what: string;
  title: string;
  disabled?: boolean;
  onClick: () => void;
}

function RowButton({ label, what, title, disabled, onClick }: ButtonProps) {
  return (
    <button className="jp-mod-styled emrs-button" aria-label={`${label} ${what}`} title={title} disabled={disabled} onClick={onClick}>
      {label}
    </button>
  );
}

export interface SavedProps {
  queries: Queries;
  open: (path: string) => Promise<void>;
  /** The open query is elsewhere now; `to` undefined: it is no more. */
  moved: (from: string, to: string | undefined) => void;
}

export function SavedQueries({ queries, open, moved }: SavedProps) {
  const [saved, setSaved] = React.useState<Saved[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const read = async () => setSaved(await queries.list());
  useOnce(() => attempt(read));
  const change = (work: () => Promise<void>) =>
    attempt(async () => {
      await work();
      await read();
    });
  const rename = (query: Saved) =>
    change(async () => {
      const answer = await InputDialog.getText({ title: "Rename query", label: "New name", text: query.name, okLabel: "Rename" });
      if (answer.button.accept && answer.value !== null) moved(query.path, await queries.rename(query.path, answer.value));
    });
  const remove = (query: Saved) =>
    change(async () => {
      const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: "Delete" })];
      const answer = await showDialog({ title: "Delete query", body: `Delete “${query.name}” (${query.path})?`, buttons });
      if (!answer.button.accept) return;
      await queries.remove(query.path);
      moved(query.path, undefined);
    });
  return (
    <>
      <Failure text={failure} retry={() => attempt(read)} />
      {!saved && busy && <p aria-live="polite">Loading…</p>}
      {saved?.length === 0 && <Empty title="No saved query">Save puts the statement above into the Workspace&apos;s folder queries.</Empty>}
      <ul className="emrs-list" aria-label="Saved queries">
        {saved?.map((query) => (
          <li key={query.path} className="emrs-row">
            <span className="emrs-grow">
              <span className="emrs-strong">{query.name}</span>{" "}
              <span className="emrs-quiet">
                {query.path} · {new Date(query.modified).toLocaleString()}
              </span>
            </span>
            <RowButton label="Open" what={query.name} title="Into a tab of its own" disabled={busy} onClick={() => attempt(() => open(query.path))} />
            <RowButton label="Rename" what={query.name} title="Give it another name" disabled={busy} onClick={() => rename(query)} />
            <RowButton label="Delete" what={query.name} title="Delete its file" disabled={busy} onClick={() => remove(query)} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Ask for a name, and save under it; undefined if the user would rather not. */
export async function saveAs(queries: Queries, text: string, suggestion: string): Promise<{ path: string; modified: string } | undefined> {
  const answer = await InputDialog.getText({ title: "Save query", label: "Name", text: suggestion, okLabel: "Save" });
  if (!answer.button.accept || answer.value === null) return undefined;
  const path = pathOf(answer.value);
  const modified = await saveOver(queries, path, text, undefined);
  return modified === undefined ? undefined : { path, modified };
}

/** Save; where it would take the place of what the user has not seen, she is asked. */
export async function saveOver(queries: Queries, path: string, text: string, known: string | undefined): Promise<string | undefined> {
  try {
    return await queries.save(path, text, known);
  } catch (error) {
    if (!(error instanceof Taken)) throw error;
    const what = known === undefined ? "There is a query of this name." : "It was changed elsewhere since it was opened here.";
    const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: "Replace" })];
    const answer = await showDialog({ title: `Replace “${nameOf(path)}”?`, body: what, buttons });
    return answer.button.accept ? queries.save(path, text, undefined, true) : undefined;
  }
}

const STATES: Record<Ran["state"], string> = {
  RUNNING: "Running, or its page was closed",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

/** "Succeeded · 100 rows and more · 1.2 s · Nov 27, 3:04 PM · ana" */
export function ranLine(ran: Ran): string {
  const count = ran.rows === undefined ? "" : `${ran.rows} ${ran.rows === 1 ? "row" : "rows"}${ran.more ? " and more" : ""}`;
  const taken = ran.seconds === undefined ? "" : duration(ran.seconds);
  return [STATES[ran.state], count, taken, new Date(ran.started).toLocaleString(), ran.user].filter(Boolean).join(" · ");
}

export interface HistoryProps {
  /** Put a statement into the editor. */
  edit: (statement: string) => void;
  run: (statement: string) => void;
  mayRun: boolean;
}

export function HistoryList({ edit, run, mayRun }: HistoryProps) {
  const [entries, setEntries] = React.useState<Ran[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const read = async () => setEntries(await api.sqlHistory());
  useOnce(() => attempt(read));
  const clear = () =>
    attempt(async () => {
      const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: "Clear" })];
      const answer = await showDialog({ title: "Clear history", body: "Forget what was run here? It is the whole Workspace's history.", buttons });
      if (!answer.button.accept) return;
      await api.clearSqlHistory();
      await read();
    });
  return (
    <>
      <div className="emrs-tools">
        <button className="jp-mod-styled emrs-button" title="Ask again" disabled={busy} onClick={() => attempt(read)}>
          Refresh
        </button>
        <button className="jp-mod-styled emrs-button" title="Forget what was run" disabled={busy || !entries?.length} onClick={clear}>
          Clear
        </button>
      </div>
      <Failure text={failure} retry={() => attempt(read)} />
      {!entries && busy && <p aria-live="polite">Loading…</p>}
      {entries?.length === 0 && <Empty title="Nothing was run yet">Statements appear here with their state, time and rows.</Empty>}
      <ul className="emrs-list" aria-label="History">
        {entries?.map((ran) => (
          <li key={ran.id} className="emrs-row" data-state={ran.state}>
            <div className="emrs-grow">
              <pre className="emrs-statement">{ran.statement}</pre>
              <p className="emrs-quiet">{ranLine(ran)}</p>
              {ran.error && <p className="emrs-warning emrs-statement">{ran.error}</p>}
            </div>
            <RowButton label="Edit" what={ran.statement} title="Put it into the editor" onClick={() => edit(ran.statement)} />
            <RowButton label="Run" what={ran.statement} title="Put it into the editor and run it" disabled={!mayRun} onClick={() => run(ran.statement)} />
          </li>
        ))}
      </ul>
    </>
  );
}
