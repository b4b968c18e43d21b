import { afterEach, describe, expect, it, vi } from "vitest";
import { client } from "./client";
import { createEditor, listEditors, runJobFlowInput, type NewCluster } from "./emr";

const CLUSTER: NewCluster = {
  name: "one",
  releaseLabel: "emr-8.0.0",
  primaryType: "m5.xlarge",
  coreType: "r5.xlarge",
  coreCount: 2,
  subnetId: "subnet-1",
  logUri: "",
  jobFlowRole: "EMR_EC2_DefaultRole",
  serviceRole: "EMR_DefaultRole_V2",
};

afterEach(() => vi.restoreAllMocks());

describe("RunJobFlow", () => {
  it("asks for what a Workspace needs and stays up without steps", () => {
    expect(runJobFlowInput(CLUSTER)).toMatchObject({
      Applications: [{ Name: "Spark" }, { Name: "Livy" }, { Name: "JupyterEnterpriseGateway" }],
      Instances: {
        KeepJobFlowAliveWhenNoSteps: true,
        Ec2SubnetId: "subnet-1",
        InstanceGroups: [
          { InstanceRole: "MASTER", InstanceType: "m5.xlarge", InstanceCount: 1 },
          { InstanceRole: "CORE", InstanceType: "r5.xlarge", InstanceCount: 2 },
        ],
      },
    });
  });

  it("leaves out what was not given", () => {
    const input = runJobFlowInput({ ...CLUSTER, coreCount: 0, subnetId: "" });
    expect(input).not.toHaveProperty("LogUri");
    expect(input).not.toHaveProperty("Instances.Ec2SubnetId");
    expect(input).toHaveProperty("Instances.InstanceGroups.length", 1);
  });
});

describe("lists", () => {
  it("are read to the last page", async () => {
    const call = vi
      .spyOn(client, "call")
      .mockResolvedValueOnce({ Editors: [{ EditorId: "e-1" }], Marker: "more" })
      .mockResolvedValueOnce({ Editors: [{ EditorId: "e-2" }] });
    expect((await listEditors("es-1")).map((editor) => editor.EditorId)).toEqual(["e-1", "e-2"]);
    expect(call.mock.calls[1]?.[1]).toEqual({ StudioId: "es-1", Marker: "more" });
  });
});

describe("CreateEditor", () => {
  it("says only what was chosen", async () => {
    const call = vi.spyOn(client, "call").mockResolvedValue({ EditorId: "e-1" });
    const asked = { studioId: "es-1", name: "n", description: "", collaboration: false, clusterId: undefined };
    await createEditor(asked);
    await createEditor({ ...asked, collaboration: true, clusterId: "j-1" });
    expect(call.mock.calls[0]?.[1]).toEqual({ StudioId: "es-1", Name: "n" });
    expect(call.mock.calls[1]?.[1]).toMatchObject({ CollaborationEnabled: true, ExecutionEngine: { Id: "j-1", Type: "EMR" } });
  });
});
