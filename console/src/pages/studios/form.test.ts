import { describe, expect, it } from "vitest";
import type { Defaults } from "../../api/types";
import { EMPTY, fromDefaults, groupsOf, withGroups } from "./form";

const GIVEN = {
  subnetIds: ["subnet-1"],
  engineSecurityGroupId: "sg-engine",
  workspaceSecurityGroupId: "sg-git",
  workspaceSecurityGroupWithoutGitId: "sg-no-git",
} as Defaults;

describe("security groups", () => {
  it("are the default ones, with or without Git, or others", () => {
    const form = fromDefaults(GIVEN);
    expect(groupsOf(form, GIVEN)).toBe("git");
    const without = { ...form, ...withGroups("noGit", form, GIVEN) };
    expect([without.engineGroup, without.workspaceGroup, groupsOf(without, GIVEN)]).toEqual(["sg-engine", "sg-no-git", "noGit"]);
    const custom = { ...without, ...withGroups("custom", without, GIVEN) };
    expect([custom.engineGroup, groupsOf(custom, GIVEN)]).toEqual(["", "custom"]);
    const typed = { ...EMPTY, engineGroup: "sg-mine", workspaceGroup: "sg-git" };
    expect([groupsOf(typed, GIVEN), withGroups("custom", typed, GIVEN)]).toEqual(["custom", {}]);
    expect(withGroups("git", typed, GIVEN)).toEqual({ engineGroup: "sg-engine", workspaceGroup: "sg-git" });
  });
});
