/** Compute: which cluster runs this Workspace's notebooks. */
import * as React from "react";
import { applications, ATTACHABLE, created, type Described, matching } from "./clusters";
import { stateLabel } from "./format";
import { Empty, Failure } from "./panel";
import { SparkUi } from "./sparkUi";
import type { StudioState } from "./state";

function Current({ state }: { state: StudioState }) {
  const editor = state.editor.value;
  if (!editor) return state.editor.error ? <Failure text={state.editor.error} retry={() => void state.refresh()} /> : <p>Loading…</p>;
  const name = state.cluster?.Name ?? state.clusterId;
  const attached = editor.Status === "Attached";
  return (
    <div className="emrs-card" data-status={editor.Status}>
      <p className="emrs-strong" aria-live="polite">
        {state.busy || (state.clusterId ? `${attached ? "Attached to" : "Attaching"} ${name}` : "No compute attached")}
      </p>
      {!state.clusterId && !state.busy && <p>Notebooks can be read and edited. Attach a cluster to run their cells.</p>}
      {state.clusterId && <p className="emrs-quiet">{state.clusterId}</p>}
      {editor.StateChangeReason?.Message && <p className="emrs-warning">{editor.StateChangeReason.Message}</p>}
      {state.roleArn && <p className="emrs-quiet">Runtime role: {state.roleArn}</p>}
      <div className="emrs-tools">
        {(attached || editor.Status === "Attaching") && (
          <button
            className="jp-mod-styled emrs-button"
            disabled={Boolean(state.busy)}
            title="Detach the cluster. Kernels end; files and layout stay."
            onClick={() => void state.detach()}
          >
            Detach
          </button>
        )}
        {attached && <SparkUi />}
      </div>
      <Failure text={state.failures.compute} />
    </div>
  );
}

function Row({ cluster, role, state }: { cluster: Described; role: string; state: StudioState }) {
  const here = cluster.Id === state.clusterId;
  const ready = ATTACHABLE.includes(cluster.Status.State);
  const status = state.editor.value?.Status;
  const possible = ready && !here && !state.busy && (status === "Ready" || status === "Attached");
  const verb = status === "Attached" ? "Switch" : "Attach";
  return (
    <li className="emrs-row" aria-current={here || undefined}>
      <div className="emrs-grow">
        <span className="emrs-strong">{cluster.Name}</span> <span className="emrs-badge">{stateLabel(cluster.Status.State)}</span>
        <p className="emrs-quiet">{cluster.Id}</p>
      </div>
      {here ? (
        <span className="emrs-quiet">{status === "Attached" ? "Attached" : "Attaching"}</span>
      ) : (
        <button
          className="jp-mod-styled emrs-button"
          disabled={!possible}
          title={ready ? `${verb} ${cluster.Name}: open files and layout stay` : "It is not ready yet"}
          aria-label={`${verb} ${cluster.Name}`}
          onClick={() => void state.attach(cluster.Id, role)}
        >
          {verb}
        </button>
      )}
      <p className="emrs-quiet emrs-wide">{[applications(cluster), created(cluster)].filter(Boolean).join(" · ")}</p>
    </li>
  );
}

/** Clusters that are not offered. */
function Unfit({ clusters }: { clusters: Described[] }) {
  return (
    <details>
      <summary title="Clusters that run, but cannot run this Workspace's notebooks">
        {clusters.length === 1 ? "1 cluster does" : `${clusters.length} clusters do`} not fit this Workspace
      </summary>
      <ul className="emrs-list" aria-label="Clusters that do not fit">
        {clusters.map((cluster) => (
          <li key={cluster.Id} className="emrs-row">
            <div className="emrs-grow">
              <span className="emrs-strong">{cluster.Name}</span>
              <p className="emrs-quiet">{cluster.Id}</p>
              <p className="emrs-warning">{cluster.unfit}</p>
            </div>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Clusters({ state }: { state: StudioState }) {
  const [filter, setFilter] = React.useState("");
  const [role, setRole] = React.useState("");
  const clusters = state.clusters.value;
  if (state.clusters.error) return <Failure text={state.clusters.error} retry={() => void state.refresh()} />;
  if (!clusters) return <p>Loading clusters…</p>;
  if (clusters.length === 0) return <Empty title="No cluster is running">Create one, then attach it here.</Empty>;
  const shown = matching(
    clusters.filter((cluster) => !cluster.unfit || cluster.Id === state.clusterId),
    filter,
  );
  const unfit = clusters.filter((cluster) => cluster.unfit && cluster.Id !== state.clusterId);
  return (
    <>
      <input
        className="jp-mod-styled emrs-filter"
        type="search"
        placeholder="Filter clusters"
        aria-label="Filter clusters"
        value={filter}
        onChange={(event) => setFilter(event.target.value)}
      />
      {shown.length === 0 && <Empty title={filter ? `No cluster matches “${filter}”` : "No cluster fits this Workspace"} />}
      <ul className="emrs-list" aria-label="Clusters">
        {shown.map((cluster) => (
          <Row key={cluster.Id} cluster={cluster} role={role.trim()} state={state} />
        ))}
      </ul>
      {unfit.length > 0 && <Unfit clusters={unfit} />}
      <details>
        <summary title="For clusters whose security configuration allows runtime roles">Attach with a runtime role</summary>
        <input
          className="jp-mod-styled emrs-filter"
          aria-label="Runtime role"
          placeholder="arn:aws:iam::…:role/…"
          title="Kernels then have this role's credentials alone, and the Workspace is yours alone. Empty: the cluster's own."
          value={role}
          onChange={(event) => setRole(event.target.value)}
        />
      </details>
    </>
  );
}

export function Compute({ state }: { state: StudioState }) {
  const studio = state.about.value?.StudioUrl;
  return (
    <>
      <Current state={state} />
      <h3 className="emrs-heading">EMR on EC2 clusters</h3>
      <Clusters state={state} />
      {studio && (
        <p>
          <a className="emrs-link" href={`${studio}/#/clusters/create`} target="_blank" rel="noopener noreferrer" title="Opens the Studio in a new tab">
            Create a cluster in the Studio
          </a>
        </p>
      )}
    </>
  );
}
