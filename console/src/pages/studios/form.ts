/** The fields of "Create a Studio" as typed, and the request that they make. */
import type { NewStudio } from "../../api/emr";
import type { Defaults } from "../../api/types";

export interface StudioForm {
  name: string;
  description: string;
  location: string;
  serviceRole: string;
  vpcId: string;
  /** Separated by commas or spaces. */
  subnets: string;
  engineGroup: string;
  workspaceGroup: string;
}

export const EMPTY: StudioForm = {
  name: "",
  description: "",
  location: "",
  serviceRole: "",
  vpcId: "",
  subnets: "",
  engineGroup: "",
  workspaceGroup: "",
};

export function fromDefaults(given: Defaults): StudioForm {
  return {
    ...EMPTY,
    location: given.defaultS3Location,
    serviceRole: given.serviceRole,
    vpcId: given.vpcId,
    subnets: given.subnetIds.join(", "),
    engineGroup: given.engineSecurityGroupId,
    workspaceGroup: given.workspaceSecurityGroupId,
  };
}

export type Groups = "git" | "noGit" | "custom";

/** Which choice of security groups the fields are. */
export function groupsOf(form: StudioForm, given: Defaults): Groups {
  if (form.engineGroup !== given.engineSecurityGroupId) return "custom";
  if (form.workspaceGroup === given.workspaceSecurityGroupId) return "git";
  return form.workspaceGroup === given.workspaceSecurityGroupWithoutGitId ? "noGit" : "custom";
}

/** The fields of a choice. */
export function withGroups(groups: Groups, form: StudioForm, given: Defaults): Partial<StudioForm> {
  if (groups === "custom") return groupsOf(form, given) === "custom" ? {} : { engineGroup: "", workspaceGroup: "" };
  const workspaceGroup = groups === "git" ? given.workspaceSecurityGroupId : given.workspaceSecurityGroupWithoutGitId;
  return { engineGroup: given.engineSecurityGroupId, workspaceGroup };
}

export function toRequest(form: StudioForm): NewStudio {
  return {
    Name: form.name,
    ...(form.description.trim() ? { Description: form.description.trim() } : {}),
    AuthMode: "IAM",
    VpcId: form.vpcId.trim(),
    SubnetIds: form.subnets.split(/[\s,]+/).filter(Boolean),
    ServiceRole: form.serviceRole.trim(),
    EngineSecurityGroupId: form.engineGroup.trim(),
    WorkspaceSecurityGroupId: form.workspaceGroup.trim(),
    DefaultS3Location: form.location.trim(),
  };
}
