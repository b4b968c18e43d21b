/** Shapes of the answers, as far as the console reads them. Times are seconds since 1970. */

export type EditorStatus = "Starting" | "Ready" | "Attaching" | "Attached" | "Idle" | "Stopping" | "Deleting";

export interface Reason {
  Code?: string;
  Message?: string;
}

export interface Editor {
  EditorId: string;
  Name: string;
  Description?: string;
  StudioId: string;
  Status: EditorStatus;
  StateChangeReason?: Reason;
  CreationTime: number;
  LastModifiedTime: number;
  User?: string;
  SubnetId?: string;
  AvailabilityZone?: string;
  ExecutionEngine?: { Id: string; Type: string };
  S3Location?: string;
}

export interface StudioSummary {
  StudioId: string;
  Name: string;
  Description?: string;
  AuthMode: "IAM" | "SSO";
  VpcId: string;
  Url: string;
  CreationTime: number;
}

export interface Studio extends StudioSummary {
  StudioArn: string;
  SubnetIds: string[];
  ServiceRole: string;
  UserRole?: string;
  WorkspaceSecurityGroupId: string;
  EngineSecurityGroupId: string;
  DefaultS3Location: string;
  Tags?: { Key: string; Value: string }[];
}

export type ClusterState =
  "STARTING" | "BOOTSTRAPPING" | "RUNNING" | "WAITING" | "TERMINATING" | "TERMINATED" | "TERMINATED_WITH_ERRORS";

export interface ClusterStatus {
  State: ClusterState;
  StateChangeReason?: Reason;
  Timeline?: { CreationDateTime?: number; ReadyDateTime?: number; EndDateTime?: number };
  Phases?: { Name: string; Seconds: number }[];
  ErrorDetails?: { ErrorCode?: string; ErrorMessage?: string; ErrorData?: Record<string, string>[] }[];
}

/** Of a cluster that was registered, not created: where it is. */
export interface OutsideCluster {
  Type: string;
  Url: string;
  AuthenticationType: string;
}

export interface ClusterSummary {
  Id: string;
  Name: string;
  Status: ClusterStatus;
  NormalizedInstanceHours?: number;
  ClusterArn?: string;
  OutsideCluster?: OutsideCluster;
}

export interface Cluster extends ClusterSummary {
  ReleaseLabel?: string;
  Applications?: { Name: string; Version?: string }[];
  LogUri?: string;
  ServiceRole?: string;
  AutoTerminate?: boolean;
  TerminationProtected?: boolean;
  MasterPublicDnsName?: string;
  Ec2InstanceAttributes?: { Ec2SubnetId?: string; Ec2AvailabilityZone?: string; IamInstanceProfile?: string };
}

export interface InstanceGroup {
  Id: string;
  Name?: string;
  InstanceGroupType: string;
  InstanceType: string;
  Market?: string;
  RequestedInstanceCount: number;
  RunningInstanceCount: number;
  Status?: { State?: string; StateChangeReason?: Reason };
}

export interface Instance {
  Id: string;
  Ec2InstanceId?: string;
  PrivateIpAddress?: string;
  PrivateDnsName?: string;
  InstanceGroupId?: string;
  InstanceType?: string;
  Status?: { State?: string; StateChangeReason?: Reason };
}

/** What this installation offers for forms (`/_console/defaults`). */
export interface Defaults {
  vpcId: string;
  subnetIds: string[];
  engineSecurityGroupId: string;
  workspaceSecurityGroupId: string;
  workspaceSecurityGroupWithoutGitId: string;
  serviceRole: string;
  defaultS3Location: string;
  releaseLabels: string[];
  instanceTypes: string[];
  jobFlowRole: string;
  emrServiceRole: string;
  region: string;
  accountId: string;
}
