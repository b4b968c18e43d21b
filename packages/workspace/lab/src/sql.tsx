/** SQL explorer: the catalog of the attached cluster, and a tab to ask it with SQL. */
import * as React from "react";
import type { Catalog } from "./catalog";
import { CatalogTree } from "./catalogTree";
import { Empty, Failure } from "./panel";
import type { StudioState } from "./state";

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

interface ExplorerProps {
  state: StudioState;
  catalog: Catalog;
  openEditor: (preview?: string) => void;
}

export function SqlExplorer({ state, catalog, openEditor }: ExplorerProps) {
  if (!state.hasSql) return <NoSql state={state} />;
  return (
    <CatalogTree catalog={catalog} preview={openEditor}>
      <button className="jp-mod-styled emrs-button" title="Open a tab to write SQL in" onClick={() => openEditor()}>
        Open editor
      </button>
    </CatalogTree>
  );
}
