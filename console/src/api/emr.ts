/** The operations of `elasticmapreduce` that the console calls, typed. */
import { client } from "./client";
import type {
  Cluster,
  ClusterState,
  ClusterSummary,
  Defaults,
  Editor,
  Instance,
  InstanceGroup,
  Studio,
  StudioSummary,
} from "./types";

/** A list never asks for more pages than this: a bound against a marker that never ends. */
const MOST_PAGES = 200;

function emr<T>(operation: string, input: object, signal?: AbortSignal): Promise<T> {
  return client.call<T>(`ElasticMapReduce.${operation}`, input, signal);
}

async function all<K extends string, T>(operation: string, key: K, input: object, signal?: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let marker: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    type Page = Partial<Record<K, T[]>> & { Marker?: string };
    const answer = await emr<Page>(operation, marker ? { ...input, Marker: marker } : input, signal);
    found.push(...(answer[key] ?? []));
    marker = answer.Marker;
    if (!marker) break;
  }
  return found;
}

export const defaults = () => client.read<Defaults>("/_console/defaults");

// Studios
export const listStudios = (signal?: AbortSignal) =>
  all<"Studios", StudioSummary>("ListStudios", "Studios", {}, signal);
export const describeStudio = async (id: string, signal?: AbortSignal) =>
  (await emr<{ Studio: Studio }>("DescribeStudio", { StudioId: id }, signal)).Studio;
export interface NewStudio {
  Name: string;
  Description?: string;
  AuthMode: "IAM";
  VpcId: string;
  SubnetIds: string[];
  ServiceRole: string;
  WorkspaceSecurityGroupId: string;
  EngineSecurityGroupId: string;
  DefaultS3Location: string;
}
export const createStudio = (input: NewStudio) => emr<{ StudioId: string; Url: string }>("CreateStudio", input);
export const updateStudio = (input: { StudioId: string; Name?: string; Description?: string; DefaultS3Location?: string }) =>
  emr("UpdateStudio", input);
export const deleteStudio = (id: string) => emr("DeleteStudio", { StudioId: id });

// Workspaces: EMR calls them editors.
export const listEditors = (studioId?: string, signal?: AbortSignal) =>
  all<"Editors", Editor>("ListEditors", "Editors", studioId ? { StudioId: studioId } : {}, signal);
export const describeEditor = async (id: string, signal?: AbortSignal) =>
  (await emr<{ Editor: Editor }>("DescribeEditor", { EditorId: id }, signal)).Editor;
const engine = (clusterId: string) => ({ Id: clusterId, Type: "EMR" });
export interface NewEditor {
  studioId: string;
  name: string;
  description: string;
  collaboration: boolean;
  clusterId: string | undefined;
}
export const createEditor = ({ studioId, name, description, collaboration, clusterId }: NewEditor) =>
  emr<{ EditorId: string }>("CreateEditor", {
    StudioId: studioId,
    Name: name,
    ...(description ? { Description: description } : {}),
    ...(collaboration ? { CollaborationEnabled: true } : {}),
    ...(clusterId ? { ExecutionEngine: engine(clusterId) } : {}),
  });
export const startEditor = (id: string, clusterId?: string) =>
  emr("StartEditor", { EditorId: id, ...(clusterId ? { ExecutionEngine: engine(clusterId) } : {}) });
export const stopEditor = (id: string) => emr("StopEditor", { EditorId: id });
export const deleteEditor = (id: string) => emr("DeleteEditor", { EditorId: id });
export const attachEditor = (id: string, clusterId: string) =>
  emr("AttachEditor", { EditorId: id, ExecutionEngine: engine(clusterId) });
export const detachEditor = (id: string) => emr("DetachEditor", { EditorId: id });
export const openEditor = async (id: string) => (await emr<{ Url: string }>("OpenEditorInConsole", { EditorId: id })).Url;

// Clusters
export const listClusters = (states?: ClusterState[], signal?: AbortSignal) =>
  all<"Clusters", ClusterSummary>("ListClusters", "Clusters", states ? { ClusterStates: states } : {}, signal);
export const describeCluster = async (id: string, signal?: AbortSignal) =>
  (await emr<{ Cluster: Cluster }>("DescribeCluster", { ClusterId: id }, signal)).Cluster;
export const listInstanceGroups = (id: string, signal?: AbortSignal) =>
  all<"InstanceGroups", InstanceGroup>("ListInstanceGroups", "InstanceGroups", { ClusterId: id }, signal);
export const listInstances = (id: string, signal?: AbortSignal) =>
  all<"Instances", Instance>("ListInstances", "Instances", { ClusterId: id }, signal);
/** What answers at the URL of a cluster from outside. */
export type OutsideType = "JUPYTER_GATEWAY" | "SPARK_CONNECT" | "LIVY";

export interface NewOutsideCluster {
  type: OutsideType;
  name: string;
  url: string;
  /** One of the two, or neither. */
  token: string;
  userName: string;
  password: string;
}
/** The request of "Register cluster": what is empty is left out. */
export function registerClusterInput(cluster: NewOutsideCluster): object {
  return {
    Name: cluster.name,
    Type: cluster.type,
    Url: cluster.url,
    ...(cluster.token ? { Token: cluster.token } : {}),
    ...(cluster.userName ? { UserName: cluster.userName, Password: cluster.password } : {}),
  };
}
export const registerCluster = (cluster: NewOutsideCluster) =>
  emr<{ ClusterId: string }>("RegisterCluster", registerClusterInput(cluster));
export const deregisterCluster = (id: string) => emr("DeregisterCluster", { ClusterId: id });
export const terminateClusters = (ids: string[]) => emr("TerminateJobFlows", { JobFlowIds: ids });

/** Links that sign in to a cluster's application UIs; the history's is there once its server runs. */
export const sparkUiUrl = async (id: string) =>
  (await emr<{ PresignedURL?: string }>("GetOnClusterAppUIPresignedURL", { ClusterId: id })).PresignedURL;
export const createPersistentUi = async (clusterArn: string) =>
  (await emr<{ PersistentAppUIId: string }>("CreatePersistentAppUI", { TargetResourceArn: clusterArn })).PersistentAppUIId;
export const persistentUiUrl = async (id: string) =>
  (await emr<{ PresignedURL?: string }>("GetPersistentAppUIPresignedURL", { PersistentAppUIId: id })).PresignedURL;

export interface NewCluster {
  name: string;
  releaseLabel: string;
  primaryType: string;
  coreType: string;
  coreCount: number;
  subnetId: string;
  logUri: string;
  jobFlowRole: string;
  serviceRole: string;
}

/** The request of "Create cluster": the applications that a Workspace needs, and it stays up without steps. */
export function runJobFlowInput(cluster: NewCluster): object {
  const groups = [{ Name: "Primary", InstanceRole: "MASTER", InstanceType: cluster.primaryType, InstanceCount: 1 }];
  if (cluster.coreCount > 0) {
    groups.push({
      Name: "Core",
      InstanceRole: "CORE",
      InstanceType: cluster.coreType,
      InstanceCount: cluster.coreCount,
    });
  }
  return {
    Name: cluster.name,
    ReleaseLabel: cluster.releaseLabel,
    Applications: ["Spark", "Livy", "JupyterEnterpriseGateway"].map((Name) => ({ Name })),
    Instances: {
      InstanceGroups: groups,
      KeepJobFlowAliveWhenNoSteps: true,
      TerminationProtected: false,
      ...(cluster.subnetId ? { Ec2SubnetId: cluster.subnetId } : {}),
    },
    JobFlowRole: cluster.jobFlowRole,
    ServiceRole: cluster.serviceRole,
    VisibleToAllUsers: true,
    ...(cluster.logUri ? { LogUri: cluster.logUri } : {}),
  };
}
export const runJobFlow = (cluster: NewCluster) => emr<{ JobFlowId: string }>("RunJobFlow", runJobFlowInput(cluster));
