/** Databases, tables and columns of the attached cluster, in the SQL explorer and beside the SQL editor. */
import { UseSignal } from "@jupyterlab/ui-components";
import * as React from "react";
import { type Catalog, quoted, spelled } from "./catalog";
import { Failure, useAttempt, useOnce } from "./panel";
import type { Column, Table } from "./sqlKernel";

interface TreeProps {
  catalog: Catalog;
  /** Ask for a table's first rows. */
  preview: (statement: string) => void;
  /** Write a name into the editor; without it names cannot be chosen. */
  insert?: ((text: string) => void) | undefined;
}

function has(text: string, filter: string): boolean {
  return text.toLowerCase().includes(filter.trim().toLowerCase());
}

function Insert({ text, insert }: { text: string; insert: TreeProps["insert"] }) {
  if (!insert) return null;
  return (
    <button className="jp-mod-styled emrs-button" aria-label={`Insert ${text}`} title={`Write ${text} into the editor`} onClick={() => insert(text)}>
      Insert
    </button>
  );
}

function TableNode({ database, table, catalog, preview, insert }: TreeProps & { database: string; table: Table }) {
  const [columns, setColumns] = React.useState<Column[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const place = `${quoted(database)}.${quoted(table.name)}`;
  const read = () => attempt(async () => setColumns(await catalog.columns({ database, table: table.name })));
  const toggle = (event: React.SyntheticEvent<HTMLDetailsElement>) => {
    if (event.currentTarget.open && !columns) read();
  };
  return (
    <li>
      <details onToggle={toggle}>
        <summary title={`${table.type.toLowerCase()} ${place}: open for its columns`}>{table.name}</summary>
        <div className="emrs-tools">
          <button
            className="jp-mod-styled emrs-button"
            aria-label={`Preview ${table.name}`}
            title="Its first rows, in a tab"
            onClick={() => preview(`SELECT * FROM ${place}`)}
          >
            Preview
          </button>
          <Insert text={`${spelled(database)}.${spelled(table.name)}`} insert={insert} />
        </div>
        {busy && <p className="emrs-quiet">Loading columns…</p>}
        <Failure text={failure} retry={read} />
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

function DatabaseNode({ database, filter, ...tree }: TreeProps & { database: string; filter: string }) {
  const [tables, setTables] = React.useState<Table[]>();
  const [attempt, { failure }] = useAttempt();
  const read = () => attempt(async () => setTables(await tree.catalog.tables(database)));
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
            <TableNode key={table.name} database={database} table={table} {...tree} />
          ))}
        </ul>
      </details>
    </li>
  );
}

/** Begins anew whenever the catalog is forgotten. */
function Databases({ filter, ...tree }: TreeProps & { filter: string }) {
  const [databases, setDatabases] = React.useState<string[]>();
  const [attempt, { busy, failure }] = useAttempt();
  const read = () => attempt(async () => setDatabases(await tree.catalog.databases()));
  useOnce(read);
  return (
    <>
      {!databases && busy && <p aria-live="polite">Starting a session on the cluster…</p>}
      <Failure text={failure} retry={read} />
      <ul className="emrs-tree" aria-label="Databases">
        {databases?.map((database) => (
          <DatabaseNode key={database} database={database} filter={filter} {...tree} />
        ))}
      </ul>
    </>
  );
}

export function CatalogTree({ children, ...tree }: TreeProps & { children?: React.ReactNode }) {
  const [filter, setFilter] = React.useState("");
  return (
    <>
      <div className="emrs-tools">
        {children}
        <button className="jp-mod-styled emrs-button" title="Ask the catalog again" onClick={() => tree.catalog.forget()}>
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
      <UseSignal signal={tree.catalog.changed}>{() => <Databases key={tree.catalog.generation} filter={filter} {...tree} />}</UseSignal>
    </>
  );
}
