/** Shapes of the answers, as far as the panels read them. Times of the AWS API are seconds since 1970. */

export type EditorStatus = "Starting" | "Ready" | "Attaching" | "Attached" | "Idle" | "Stopping" | "Deleting";

export interface Editor {
  EditorId: string;
  Name: string;
  Status: EditorStatus;
  StateChangeReason?: { Code?: string; Message?: string };
  CollaborationEnabled?: boolean;
  User?: string;
  ExecutionEngine?: { Id: string; Type: string; ExecutionRoleArn?: string };
  IdleStopTime?: number;
  S3Location?: string;
  Repositories?: LinkedRepository[];
}

export type LinkStatus = "Linking" | "Linked" | "LinkFailed" | "Unlinking" | "UnlinkFailed";

/** A Git repository in this Workspace. */
export interface LinkedRepository {
  RepositoryName: string;
  Status: LinkStatus;
  StateChangeReason?: string;
}

/** A Git repository of the account. */
export interface Repository {
  RepositoryName: string;
  GitUrl: string;
  Branch: string;
  SecretArn?: string;
}

export type ClusterState =
  "STARTING" | "BOOTSTRAPPING" | "RUNNING" | "WAITING" | "TERMINATING" | "TERMINATED" | "TERMINATED_WITH_ERRORS";

export interface ClusterSummary {
  Id: string;
  Name: string;
  Status: {
    State: ClusterState;
    StateChangeReason?: { Code?: string; Message?: string };
    Timeline?: { CreationDateTime?: number };
  };
  /** Of one that was registered, not created. */
  OutsideCluster?: { Type: string; Url: string };
}

export interface Cluster extends ClusterSummary {
  ReleaseLabel?: string;
  Applications?: { Name: string; Version?: string }[];
}

export interface Collaborator {
  IdentityType: string;
  IdentityName: string;
}

/** `GET /_studio/api` */
export interface About {
  EditorId: string;
  UserName: string;
  StudioUrl: string;
  MayCollaborate: boolean;
  /** A model for code suggestions is set, and IAM lets this user ask it. */
  MayGetSuggestions: boolean;
  /** Who used this Workspace within the last minute. */
  Here: string[];
}

/** `GET /_studio/api/sql`: whether the attached compute has what the SQL explorer needs; if not, why, and what to do. */
export type SqlSupport = { Available: true } | { Available: false; Code: string; Title: string; Reason: string; Advice: string };

export type QueryState = "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";

/** A statement that a SQL editor has run, as the Workspace keeps it (`/api/emr-studio/sql-history`). */
export interface Ran {
  id: string;
  statement: string;
  state: QueryState;
  /** ISO 8601 */
  started: string;
  cluster?: string;
  seconds?: number;
  rows?: number;
  /** There were more rows than those. */
  more?: boolean;
  error?: string;
  /** Who ran it, as the Workspace's server says. */
  user?: string;
}

/** How far the files are in S3, as the host agent says. */
export interface Backup {
  savedAt: string | null;
  pending: number;
  error: string;
  skipped: number;
}

/** How full the Workspace's disk is. `kernel`: nothing can write more; `server`: measured, and saves are refused. */
export interface Disk {
  limitBytes: number;
  usedBytes: number;
  enforcedBy: "kernel" | "server";
  message: string;
  refuse: boolean;
}

/** `GET /api/emr-studio/status` */
export interface ServerStatus {
  workspace: { id: string; name: string };
  clusterId: string | null;
  backup: Backup | null;
  disk: Disk | null;
}

/** `GET /_studio/api/versions` */
export interface FileVersion {
  VersionId: string;
  LastModified: number;
  Size: number;
  IsLatest: boolean;
  /** Who wrote it in JupyterLab; empty: a terminal, git, or not known. */
  Author: string;
}

export interface ExampleSummary {
  name: string;
  title: string;
  description: string;
}

export type Mark = "same" | "gone" | "new" | "changed";

/** A cell of `POST /api/emr-studio/compare`; one that was changed has `lines`. */
export interface ComparedCell {
  mark: Mark;
  kind: string;
  source: string;
  outputs: boolean;
  lines?: { mark: Mark; text: string }[];
}
