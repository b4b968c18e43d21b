/** What the states of Workspaces and clusters allow, and how they look (emr-studio.md 6.2). */
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { ClusterState, ClusterSummary, Editor, EditorStatus } from "../api/types";

export type WorkspaceAction = "start" | "stop" | "delete" | "attach" | "detach";

const ALLOWED: Record<EditorStatus, readonly WorkspaceAction[]> = {
  Starting: ["stop"],
  Ready: ["attach", "stop", "delete"],
  Attaching: ["detach", "stop"],
  Attached: ["detach", "stop", "delete"],
  Idle: ["start", "delete"],
  Stopping: [],
  Deleting: [],
};

/** May `action` be taken on all of these? Attach and detach take exactly one. */
export function mayAct(action: WorkspaceAction, editors: readonly Pick<Editor, "Status">[]): boolean {
  if (editors.length === 0) return false;
  if ((action === "attach" || action === "detach") && editors.length !== 1) return false;
  return editors.every((editor) => ALLOWED[editor.Status].includes(action));
}

export function isEditorInTransition(editor: Pick<Editor, "Status">): boolean {
  return ["Starting", "Attaching", "Stopping", "Deleting"].includes(editor.Status);
}

export function editorIndicator(status: EditorStatus): StatusIndicatorProps.Type {
  switch (status) {
    case "Ready":
    case "Attached":
      return "success";
    case "Idle":
      return "stopped";
    default:
      return "in-progress";
  }
}

/** States that a Workspace can be attached in. */
export const ATTACHABLE_STATES: ClusterState[] = ["RUNNING", "WAITING"];
export const ENDED_STATES: ClusterState[] = ["TERMINATED", "TERMINATED_WITH_ERRORS"];
export const CLUSTER_STATES: ClusterState[] = [
  "STARTING",
  "BOOTSTRAPPING",
  "RUNNING",
  "WAITING",
  "TERMINATING",
  "TERMINATED",
  "TERMINATED_WITH_ERRORS",
];

export function isClusterInTransition(cluster: Pick<ClusterSummary, "Status">): boolean {
  return ["STARTING", "BOOTSTRAPPING", "TERMINATING"].includes(cluster.Status.State);
}

export function mayTerminate(cluster: Pick<ClusterSummary, "Status">): boolean {
  return !ENDED_STATES.includes(cluster.Status.State) && cluster.Status.State !== "TERMINATING";
}

export function clusterIndicator(state: ClusterState): StatusIndicatorProps.Type {
  switch (state) {
    case "RUNNING":
    case "WAITING":
      return "success";
    case "TERMINATED":
      return "stopped";
    case "TERMINATED_WITH_ERRORS":
      return "error";
    default:
      return "in-progress";
  }
}

/** "TERMINATED_WITH_ERRORS" as people read it: "Terminated with errors". */
export function stateLabel(state: string): string {
  const words = state.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Poll every `busy` ms while something changes by itself, else rarely. */
export const POLL_MS = { busy: 1500, quiet: 10_000 } as const;

const NOT_IN_FILE_NAMES = /[/\\:\u0000-\u001f\u007f]/;

/** What is wrong with a Workspace's name, which also names its first notebook; empty: nothing. */
export function workspaceNameError(name: string): string {
  if (!name.trim()) return "Enter a name.";
  if (name.length > 128) return "At most 128 characters.";
  if (NOT_IN_FILE_NAMES.test(name)) return "It names a file: no slashes, colons or control characters.";
  if (/^[. ]/.test(name)) return "It must not begin with a dot or a space.";
  return "";
}

/** What is wrong with a Studio's name (CloudFormation's pattern); empty: nothing. */
export function studioNameError(name: string): string {
  if (!name) return "Enter a name.";
  return /^[A-Za-z0-9_-]{1,256}$/.test(name) ? "" : "Letters, digits, - and _ only; at most 256 characters.";
}

export function s3LocationError(location: string): string {
  return /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/.*)?$/.test(location) ? "" : "An S3 location such as s3://bucket/prefix/.";
}
