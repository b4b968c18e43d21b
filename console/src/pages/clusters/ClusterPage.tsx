import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { AwsError } from "../../api/client";
import { denialOf } from "../../api/denial";
import { deregisterCluster, describeCluster, listInstanceGroups, listInstances, terminateClusters } from "../../api/emr";
import type { Cluster, ClusterState, Instance, InstanceGroup, OutsideCluster } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorBox } from "../../components/ErrorBox";
import { Failure } from "../../components/Failure";
import { ClusterStateView } from "../../components/States";
import { duration, time } from "../../format";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";
import { hasUi, uiOf } from "./uis";
import { isClusterInTransition, mayTerminate, stateLabel } from "../../state/status";

interface Whole {
  cluster: Cluster;
  groups: InstanceGroup[] | AwsError;
  instances: Instance[] | AwsError;
}

/** What the user may not see is said in its place: the tiers of EMR Studio do not allow `ListInstances`. */
export async function orDenial<T>(asked: Promise<T>): Promise<T | AwsError> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof AwsError && denialOf(thrown)) return thrown;
    throw thrown;
  }
}

async function ask(id: string, signal: AbortSignal): Promise<Whole> {
  const [cluster, groups, instances] = await Promise.all([
    describeCluster(id, signal),
    orDenial(listInstanceGroups(id, signal)),
    orDenial(listInstances(id, signal)),
  ]);
  return { cluster, groups, instances };
}

/** Has it ended or failed, so that the reason belongs at the top? */
function isTroubled({ Status }: Cluster): boolean {
  const ended = Status.State.startsWith("TERMINAT");
  if (Status.State === "WAITING" && Status.StateChangeReason?.Code) return true;
  return Boolean(Status.ErrorDetails?.length) || (ended && Boolean(Status.StateChangeReason?.Message));
}

function troubleKind(state: ClusterState): "error" | "warning" | "info" {
  if (state === "TERMINATED_WITH_ERRORS") return "error";
  return state === "WAITING" ? "warning" : "info";
}

/** Why it failed or ended, with the lines of the log that say so. */
function Trouble({ cluster }: { cluster: Cluster }) {
  const { State, StateChangeReason, ErrorDetails } = cluster.Status;
  const lines = (ErrorDetails ?? []).flatMap((detail) => [
    [detail.ErrorCode, detail.ErrorMessage].filter(Boolean).join(": "),
    ...(detail.ErrorData ?? []).flatMap((data) => Object.entries(data).map(([key, value]) => `${key}: ${value}`)),
  ]);
  return (
    <Alert type={troubleKind(State)} header={StateChangeReason?.Code ?? stateLabel(State)}>
      <div style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>{StateChangeReason?.Message}</div>
      {lines.length ? <pre style={{ overflowX: "auto", margin: "8px 0 0" }}>{lines.join("\n")}</pre> : null}
    </Alert>
  );
}

/** How long each state of the start took: "Starting 1.1 s, Bootstrapping 5.9 s". */
export function phasesText({ Status }: Cluster): string {
  let before = { Name: "STARTING", Seconds: 0 };
  const taken: string[] = [];
  for (const phase of Status.Phases ?? []) {
    const seconds = phase.Seconds - before.Seconds;
    if (seconds > 0) taken.push(`${stateLabel(before.Name)} ${seconds.toFixed(1)} s`);
    before = phase;
  }
  return taken.join(", ") || (Status.Phases?.length ? "At once, from a warm spare" : "–");
}

function Summary({ cluster }: { cluster: Cluster }) {
  const timeline = cluster.Status.Timeline;
  const started = timeline?.CreationDateTime;
  const ready = timeline?.ReadyDateTime;
  return (
    <Container header={<Header variant="h2">Summary</Header>}>
      <KeyValuePairs
        columns={4}
        items={[
          { label: "Cluster ID", value: cluster.Id },
          { label: "State", value: <ClusterStateView status={cluster.Status} /> },
          { label: "EMR release", value: cluster.ReleaseLabel ?? "–" },
          { label: "Applications", value: cluster.Applications?.map(({ Name }) => Name).join(", ") || "–" },
          { label: "Creation time", value: time(started) },
          { label: "Ready after", value: started && ready ? duration(ready - started) : "–" },
          { label: "Start", value: phasesText(cluster) },
          { label: "End time", value: time(timeline?.EndDateTime) },
          { label: "Primary node", value: cluster.MasterPublicDnsName || "–" },
          { label: "Subnet", value: cluster.Ec2InstanceAttributes?.Ec2SubnetId ?? "–" },
          { label: "Log location", value: cluster.LogUri ?? "–" },
          { label: "Service role", value: cluster.ServiceRole ?? "–" },
          { label: "Termination protection", value: cluster.TerminationProtected ? "On" : "Off" },
        ]}
      />
    </Container>
  );
}

/** One from outside: of its instances nothing is known here. */
function Outside({ cluster, outside }: { cluster: Cluster; outside: OutsideCluster }) {
  return (
    <Container header={<Header variant="h2">Summary</Header>}>
      <KeyValuePairs
        columns={4}
        items={[
          { label: "Cluster ID", value: cluster.Id },
          { label: "State", value: <ClusterStateView status={cluster.Status} /> },
          { label: "Runs", value: "Outside" },
          { label: "URL", value: outside.Url },
          { label: "Type", value: outside.Type },
          { label: "Authentication", value: outside.AuthenticationType },
          { label: "Registered", value: time(cluster.Status.Timeline?.CreationDateTime) },
          { label: "Deregistered", value: time(cluster.Status.Timeline?.EndDateTime) },
        ]}
      />
    </Container>
  );
}

function Groups({ groups }: { groups: InstanceGroup[] }) {
  return (
    <Table
      header={<Header variant="h2" counter={`(${groups.length})`}>Instance groups</Header>}
      items={groups}
      trackBy="Id"
      empty="No instance groups"
      ariaLabels={{ tableLabel: "Instance groups" }}
      columnDefinitions={[
        { id: "type", header: "Role", isRowHeader: true, cell: (group) => stateLabel(group.InstanceGroupType === "MASTER" ? "PRIMARY" : group.InstanceGroupType) },
        { id: "instance", header: "Instance type", cell: (group) => group.InstanceType },
        { id: "count", header: "Running / requested", cell: (group) => `${group.RunningInstanceCount} / ${group.RequestedInstanceCount}` },
        { id: "state", header: "State", cell: (group) => stateLabel(group.Status?.State ?? "–") },
        { id: "id", header: "ID", cell: (group) => group.Id },
      ]}
    />
  );
}

function Instances({ instances }: { instances: Instance[] }) {
  return (
    <Table
      header={<Header variant="h2" counter={`(${instances.length})`}>Instances</Header>}
      items={instances}
      trackBy="Id"
      empty="No instances"
      ariaLabels={{ tableLabel: "Instances" }}
      columnDefinitions={[
        { id: "id", header: "Instance", isRowHeader: true, cell: (instance) => instance.Ec2InstanceId ?? instance.Id },
        { id: "type", header: "Instance type", cell: (instance) => instance.InstanceType ?? "–" },
        { id: "address", header: "Private address", cell: (instance) => instance.PrivateIpAddress ?? "–" },
        { id: "state", header: "State", cell: (instance) => stateLabel(instance.Status?.State ?? "–") },
        { id: "reason", header: "Reason", cell: (instance) => instance.Status?.StateChangeReason?.Message ?? "–" },
      ]}
    />
  );
}

function Hidden({ what, denial }: { what: string; denial: AwsError }) {
  return (
    <Container header={<Header variant="h2">{what}</Header>}>
      <Failure error={denial} />
    </Container>
  );
}

export default function ClusterPage({ clusterId }: { clusterId: string }) {
  const whole = usePolled(
    clusterId,
    (signal) => ask(clusterId, signal),
    (found) => isClusterInTransition(found.cluster),
  );
  const [terminating, setTerminating] = useState(false);
  const notices = useNotices();
  const cluster = whole.data?.cluster;
  const outside = cluster?.OutsideCluster;
  const ending = outside ? "Deregister" : "Terminate";

  async function terminate(): Promise<void> {
    await (outside ? deregisterCluster(clusterId) : terminateClusters([clusterId]));
    notices.success(`${outside ? "Deregistering" : "Terminating"} ${cluster?.Name ?? clusterId}.`);
    await whole.refresh();
  }

  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button href="#/clusters">All clusters</Button>
              {cluster && !outside && hasUi(cluster) ? (
                <>
                  {uiOf(cluster) === "live" ? (
                    <Button href={`#/spark-ui/${clusterId}`} target="_blank" iconName="external">
                      Spark UI
                    </Button>
                  ) : null}
                  <Button href={`#/spark-ui/${clusterId}?ui=history`} target="_blank" iconName="external">
                    Spark history
                  </Button>
                </>
              ) : null}
              <Button disabled={!cluster || !mayTerminate(cluster)} onClick={() => setTerminating(true)}>
                {ending}
              </Button>
            </SpaceBetween>
          }
        >
          {cluster?.Name ?? clusterId}
        </Header>
      }
    >
      <SpaceBetween size="l">
        {whole.error ? <ErrorBox what="The cluster cannot be shown" error={whole.error} retry={whole.refresh} /> : null}
        {whole.loading ? <Spinner size="large" /> : null}
        {whole.data ? (
          <SpaceBetween size="l">
            {isTroubled(whole.data.cluster) ? <Trouble cluster={whole.data.cluster} /> : null}
            {outside ? (
              <Outside cluster={whole.data.cluster} outside={outside} />
            ) : (
              <Summary cluster={whole.data.cluster} />
            )}
            {outside ? null : whole.data.groups instanceof AwsError ? (
              <Hidden what="Instance groups" denial={whole.data.groups} />
            ) : (
              <Groups groups={whole.data.groups} />
            )}
            {outside ? null : whole.data.instances instanceof AwsError ? (
              <Hidden what="Instances" denial={whole.data.instances} />
            ) : (
              <Instances instances={whole.data.instances} />
            )}
          </SpaceBetween>
        ) : null}
      </SpaceBetween>
      {terminating ? (
        <Confirm title={`${ending} cluster`} action={ending} run={terminate} onClose={() => setTerminating(false)}>
          <Box>
            {ending} {cluster?.Name} ({clusterId})? Workspaces attached to it lose their kernels;{" "}
            {outside ? "the cluster itself goes on." : "nothing on its disks is kept."}
          </Box>
        </Confirm>
      ) : null}
    </ContentLayout>
  );
}
