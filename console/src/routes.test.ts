import { describe, expect, it } from "vitest";
import { faceOf } from "./face";
import { count, duration } from "./format";
import { fromDefaults, toRequest } from "./pages/studios/form";
import { parseHash } from "./router";

describe("faces", () => {
  it("are told by the host name, the Studio's id in its own spelling", () => {
    expect(faceOf("es-abc123.studio.localhost")).toEqual({ kind: "studio", studioId: "es-ABC123" });
    expect(faceOf("localhost")).toEqual({ kind: "admin" });
    expect(faceOf("es-abc.example.com")).toEqual({ kind: "admin" });
  });
});

describe("routes", () => {
  it("are parts and a query", () => {
    const route = parseHash("#/open/e-1?cluster=j-1");
    expect(route.parts).toEqual(["open", "e-1"]);
    expect(route.query.get("cluster")).toBe("j-1");
    expect(parseHash("").parts).toEqual([]);
    expect(parseHash("#/%zz").parts).toEqual(["%zz"]);
  });
});

describe("texts", () => {
  it("count and measure", () => {
    expect(count(1, "Workspace")).toBe("1 Workspace");
    expect(count(undefined, "cluster")).toBe("– clusters");
    expect([duration(59), duration(61), duration(3700)]).toEqual(["59 s", "1 min 1 s", "1 h 1 min"]);
  });
});

describe("the form of a new Studio", () => {
  it("begins with the installation's defaults and becomes CreateStudio's request", () => {
    const form = fromDefaults({
      vpcId: "vpc-1",
      subnetIds: ["subnet-1", "subnet-2"],
      engineSecurityGroupId: "sg-e",
      workspaceSecurityGroupWithoutGitId: "sg-3",
      workspaceSecurityGroupId: "sg-w",
      serviceRole: "role",
      defaultS3Location: "s3://bucket/",
      releaseLabels: [],
      instanceTypes: [],
      jobFlowRole: "",
      emrServiceRole: "",
      region: "us-east-1",
      accountId: "123456789012",
    });
    expect(toRequest({ ...form, name: "team", subnets: `${form.subnets}  subnet-3` })).toEqual({
      Name: "team",
      AuthMode: "IAM",
      VpcId: "vpc-1",
      SubnetIds: ["subnet-1", "subnet-2", "subnet-3"],
      ServiceRole: "role",
      EngineSecurityGroupId: "sg-e",
      WorkspaceSecurityGroupId: "sg-w",
      DefaultS3Location: "s3://bucket/",
    });
  });
});
