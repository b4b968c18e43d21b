/**
 * The two ways out of this page: `/_studio/api`, where the control plane answers as the user who is
 * signed in (see the studio's `signin/panel_api.py`), and `/api/emr-studio`, the Workspace's own server.
 */
import { ServerConnection } from "@jupyterlab/services";
import { ApiError, errorOf } from "./errors";
import type { Place } from "./place";
import type {
  About,
  Cluster,
  ClusterState,
  ClusterSummary,
  Collaborator,
  ComparedCell,
  Editor,
  ExampleSummary,
  FileVersion,
  Ran,
  ServerStatus,
  SqlSupport,
} from "./types";

const PATH = "/_studio/api";
/** A list never asks for more pages than this: a bound against a marker that never ends. */
const MOST_PAGES = 20;

async function sendForText(path: string, init: RequestInit): Promise<string> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...init });
  } catch {
    throw new ApiError("NetworkFailure", "The studio did not answer. Is it running?", 0);
  }
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  return text;
}

async function send<T>(path: string, init: RequestInit): Promise<T> {
  const text = await sendForText(path, init);
  return (text ? JSON.parse(text) : {}) as T;
}

export function call<T>(operation: string, input: object = {}): Promise<T> {
  return send<T>(`${PATH}/${operation}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(input),
  });
}

export async function all<K extends string, T>(operation: string, key: K, input: object = {}): Promise<T[]> {
  const found: T[] = [];
  let marker: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    type Page = Partial<Record<K, T[]>> & { Marker?: string };
    const answer = await call<Page>(operation, marker ? { ...input, Marker: marker } : input);
    found.push(...(answer[key] ?? []));
    marker = answer.Marker;
    if (!marker) break;
  }
  return found;
}

export const about = () => send<About>(PATH, {});
export const describeEditor = async () => (await call<{ Editor: Editor }>("DescribeEditor")).Editor;
export const attach = (clusterId: string, roleArn: string) => {
  const role = roleArn ? { ExecutionRoleArn: roleArn } : {};
  return call("AttachEditor", { ExecutionEngine: { Id: clusterId, Type: "EMR", ...role } });
};
export const detach = () => call("DetachEditor");
export const listClusters = (states: ClusterState[]) =>
  all<"Clusters", ClusterSummary>("ListClusters", "Clusters", { ClusterStates: states });
/** Clusters that this Workspace can never be attached to, and why. */
export const unfitClusters = async () => (await send<{ Unfit: Record<string, string> }>(`${PATH}/unfit`, {})).Unfit;
export const sqlSupport = () => send<SqlSupport>(`${PATH}/sql`, {});
export const describeCluster = async (id: string) =>
  (await call<{ Cluster: Cluster }>("DescribeCluster", { ClusterId: id })).Cluster;
/** A link, good once and for a minute, to the Spark UI of the attached cluster, or to another of its UIs. */
export const sparkUi = async (type?: "SparkHistoryServer") =>
  (await call<{ PresignedURL?: string }>("GetOnClusterAppUIPresignedURL", type ? { OnClusterAppUIType: type } : {}))
    .PresignedURL;
export const setCollaboration = (on: boolean) => call("UpdateEditor", { CollaborationEnabled: on });
export const listCollaborators = () =>
  all<"WorkspaceAccessIdentities", Collaborator>("ListWorkspaceAccessIdentities", "WorkspaceAccessIdentities");
export const addCollaborator = (name: string) => call("PutWorkspaceAccess", { IdentityName: name });
export const removeCollaborator = (name: string) => call("DeleteWorkspaceAccess", { IdentityName: name });

/** Code for the place of the caret, the best first. */
export async function suggestCode({ before, after }: Place, filename: string, signal: AbortSignal): Promise<string[]> {
  const fileContext = { leftFileContent: before, rightFileContent: after, filename: filename.slice(-1024), programmingLanguage: { languageName: "python" } };
  type Answer = { recommendations: { content: string }[] };
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ fileContext }), signal };
  return (await send<Answer>(`${PATH}/suggestions`, init)).recommendations.map(({ content }) => content);
}

const query = (values: Record<string, string>) => new URLSearchParams(values).toString();
export const listVersions = async (path: string) =>
  (await send<{ Versions: FileVersion[] }>(`${PATH}/versions?${query({ path })}`, {})).Versions;
/** Cell by cell, or a file that is no notebook as one; by the Workspace's own server, which has nbdime. */
export const compareVersions = async (then: string, now: string, notebook: boolean) =>
  (await ask<{ cells: ComparedCell[] }>("compare", { method: "POST", body: JSON.stringify({ then, now, notebook }) })).cells;
export const readVersion = (path: string, id: string) => sendForText(`${PATH}/version?${query({ path, id })}`, {});

async function ask<T>(path: string, init: RequestInit = {}): Promise<T> {
  const settings = ServerConnection.makeSettings();
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(`${settings.baseUrl}api/emr-studio/${path}`, init, settings);
  } catch {
    throw new ApiError("NetworkFailure", "The Workspace did not answer.", 0);
  }
  const text = await response.text();
  if (!response.ok) throw errorOf(response.status, text);
  return JSON.parse(text) as T;
}

export const serverStatus = () => ask<ServerStatus>("status");
export const listExamples = async () => (await ask<{ examples: ExampleSummary[] }>("examples")).examples;
export const readExample = (name: string) => ask<object>(`examples/${encodeURIComponent(name)}`);

/** What was run in SQL editors, newest first. */
export const sqlHistory = async () => (await ask<{ entries: Ran[] }>("sql-history")).entries;
export const keepRan = ({ id, ...told }: Ran) => ask<Ran>(`sql-history/${id}`, { method: "PUT", body: JSON.stringify(told) });
export const clearSqlHistory = () => ask<object>("sql-history", { method: "DELETE" });
