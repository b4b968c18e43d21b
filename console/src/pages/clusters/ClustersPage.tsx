import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import Multiselect from "@cloudscape-design/components/multiselect";
import type { TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { listClusters, terminateClusters } from "../../api/emr";
import type { ClusterState, ClusterSummary } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ResourceTable } from "../../components/ResourceTable";
import { ClusterStateView } from "../../components/States";
import { time } from "../../format";
import { navigate } from "../../router";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";
import { CLUSTER_STATES, isClusterInTransition, mayTerminate, stateLabel } from "../../state/status";
import { type CreatedRange, createdIn } from "./created";
import { CreatedFilter } from "./CreatedFilter";
import { CreateCluster } from "./CreateCluster";
import { RegisterCluster } from "./RegisterCluster";

interface Props {
  /** The subnets that a new cluster may be in; without them those of the installation. */
  subnetIds?: string[] | undefined;
  create: boolean;
}

const created = (cluster: ClusterSummary) => cluster.Status.Timeline?.CreationDateTime ?? 0;

const place = (cluster: ClusterSummary) => (cluster.OutsideCluster ? "Outside" : "Here");

const COLUMNS: TableProps.ColumnDefinition<ClusterSummary>[] = [
  {
    id: "name",
    header: "Name",
    sortingField: "Name",
    isRowHeader: true,
    minWidth: 160,
    cell: (cluster) => <Link href={`#/clusters/${cluster.Id}`}>{cluster.Name}</Link>,
  },
  { id: "id", header: "Cluster ID", sortingField: "Id", minWidth: 170, cell: (cluster) => cluster.Id },
  {
    id: "state",
    header: "State",
    sortingComparator: (a, b) => a.Status.State.localeCompare(b.Status.State),
    minWidth: 170,
    cell: (cluster) => <ClusterStateView status={cluster.Status} />,
  },
  {
    id: "runs",
    header: "Runs",
    sortingComparator: (a, b) => place(a).localeCompare(place(b)),
    minWidth: 120,
    cell: place,
  },
  {
    id: "created",
    header: "Creation time",
    sortingComparator: (a, b) => created(a) - created(b),
    minWidth: 190,
    cell: (cluster) => time(cluster.Status.Timeline?.CreationDateTime),
  },
  {
    id: "hours",
    header: "Normalized instance hours",
    sortingComparator: (a, b) => (a.NormalizedInstanceHours ?? 0) - (b.NormalizedInstanceHours ?? 0),
    minWidth: 140,
    cell: (cluster) => cluster.NormalizedInstanceHours ?? 0,
  },
];

const STATE_OPTIONS = CLUSTER_STATES.map((state) => ({ value: state, label: stateLabel(state) }));

function textOf(cluster: ClusterSummary): string {
  const { State, StateChangeReason } = cluster.Status;
  return [cluster.Id, cluster.Name, State, stateLabel(State), StateChangeReason?.Message, time(created(cluster))].join("\n");
}

export default function ClustersPage({ subnetIds, create }: Props) {
  const clusters = usePolled(
    "clusters",
    (signal) => listClusters(undefined, signal),
    (found) => found.some(isClusterInTransition),
  );
  const [states, setStates] = useState<string[]>([]);
  const [range, setRange] = useState<CreatedRange | null>(null);
  const [selectedIds, setSelectedIds] = useState<string[]>([]);
  const [dialog, setDialog] = useState<"create" | "register" | "terminate" | undefined>(create ? "create" : undefined);
  const notices = useNotices();
  const selected = (clusters.data ?? []).filter((cluster) => selectedIds.includes(cluster.Id));
  const names = selected.map((cluster) => `${cluster.Name} (${cluster.Id})`).join(", ");

  function close(): void {
    setDialog(undefined);
    if (create) navigate("/clusters");
  }
  async function terminate(): Promise<void> {
    await terminateClusters(selected.map((cluster) => cluster.Id));
    notices.success(`Terminating ${names}.`);
    await clusters.refresh();
  }

  return (
    <>
      <ResourceTable
        title="EMR on EC2 clusters"
        noun="clusters"
        polled={clusters}
        columns={COLUMNS}
        idOf={(cluster) => cluster.Id}
        nameOf={(cluster) => cluster.Name}
        textOf={textOf}
        sortedBy={{ id: "created", descending: true }}
        keep={(cluster) =>
          (states.length === 0 || states.includes(cluster.Status.State)) && createdIn(range, created(cluster), new Date())
        }
        selected={selected}
        onSelect={(items) => setSelectedIds(items.map((cluster) => cluster.Id))}
        empty={{
          text: states.length || range ? "No clusters of these states and creation times" : "No clusters",
          action: <Button onClick={() => setDialog("create")}>Create cluster</Button>,
        }}
        filters={
          <>
            <div style={{ flex: "0 1 260px" }}>
              <Multiselect
                ariaLabel="Filter by state"
                placeholder="Any state"
                options={STATE_OPTIONS}
                selectedOptions={STATE_OPTIONS.filter((option) => states.includes(option.value))}
                onChange={({ detail }) =>
                  setStates(detail.selectedOptions.map((option) => option.value as ClusterState))
                }
                tokenLimit={2}
                deselectAriaLabel={(option) => `Remove ${option.label ?? ""}`}
                inlineTokens
              />
            </div>
            <CreatedFilter range={range} onChange={setRange} />
          </>
        }
        actions={[
          <Button
            disabled={selected.length === 0 || !selected.every(mayTerminate)}
            onClick={() => setDialog("terminate")}
          >
            Terminate
          </Button>,
          <Button onClick={() => setDialog("register")}>Register cluster</Button>,
          <Button variant="primary" onClick={() => setDialog("create")}>
            Create cluster
          </Button>,
        ]}
      />
      {dialog === "create" ? (
        <CreateCluster subnetIds={subnetIds} onClose={close} onCreated={() => void clusters.refresh()} />
      ) : null}
      {dialog === "register" ? (
        <RegisterCluster onClose={close} onRegistered={() => void clusters.refresh()} />
      ) : null}
      {dialog === "terminate" ? (
        <Confirm title="Terminate clusters" action="Terminate" run={terminate} onClose={close} disabled={!selected.length}>
          <Box>Terminate {names}? Workspaces attached to it lose their kernels; nothing on its disks is kept. Those from
            outside are only forgotten.</Box>
        </Confirm>
      ) : null}
    </>
  );
}
