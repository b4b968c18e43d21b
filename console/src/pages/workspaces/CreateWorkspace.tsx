import Checkbox from "@cloudscape-design/components/checkbox";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import RadioGroup from "@cloudscape-design/components/radio-group";
import { useState } from "react";
import { createEditor, runJobFlow } from "../../api/emr";
import { Confirm } from "../../components/Confirm";
import { workspaceNameError } from "../../state/status";
import { useNotices } from "../../state/notices";
import { useClusterDraft } from "../clusters/CreateCluster";
import { ClusterSelect } from "./ClusterSelect";

interface Props {
  studioId: string;
  /** Subnets that a new cluster may be in. */
  subnetIds: string[] | undefined;
  onClose: () => void;
  onCreated: () => void;
}

type Compute = "none" | "attach" | "create";

const COMPUTE = [
  { value: "none", label: "No compute", description: "Attach a cluster later." },
  { value: "attach", label: "Attach Workspace to an EMR cluster" },
  { value: "create", label: "Create an EMR cluster", description: "Attached as soon as it is up." },
];

/** Create a Workspace, attached to a cluster at once if wanted. */
export function CreateWorkspace({ studioId, subnetIds, onClose, onCreated }: Props) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [collaboration, setCollaboration] = useState(false);
  const [compute, setCompute] = useState<Compute>("none");
  const [clusterId, setClusterId] = useState<string>();
  const [touched, setTouched] = useState(false);
  const notices = useNotices();
  const problem = workspaceNameError(name);
  const draft = useClusterDraft(subnetIds);
  const incomplete = (compute === "attach" && !clusterId) || (compute === "create" && !draft.cluster);

  /** The cluster to attach; a new one that was made stays chosen, should the Workspace then be refused. */
  async function engine(): Promise<string | undefined> {
    if (compute === "none") return undefined;
    if (compute === "attach" || !draft.cluster) return clusterId;
    const { JobFlowId } = await runJobFlow(draft.cluster);
    setCompute("attach");
    setClusterId(JobFlowId);
    notices.success(`Cluster ${draft.cluster.name} (${JobFlowId}) is starting.`);
    return JobFlowId;
  }

  async function run(): Promise<void> {
    const clusterId = await engine();
    await createEditor({ studioId, name: name.trim(), description: description.trim(), collaboration, clusterId });
    notices.success(`Workspace ${name.trim()} is being created.`);
    onCreated();
  }

  return (
    <Confirm
      title="Create a Workspace"
      action="Create Workspace"
      run={run}
      onClose={onClose}
      disabled={Boolean(problem) || incomplete}
    >
      <FormField
        label="Workspace name"
        constraintText="A first notebook of this name is made in it."
        errorText={touched ? problem : ""}
      >
        <Input
          value={name}
          onChange={({ detail }) => {
            setName(detail.value);
            setTouched(true);
          }}
          autoFocus
          spellcheck={false}
        />
      </FormField>
      <FormField
        label={
          <span>
            Description <i>- optional</i>
          </span>
        }
      >
        <Textarea value={description} onChange={({ detail }) => setDescription(detail.value)} rows={2} />
      </FormField>
      <Checkbox
        checked={collaboration}
        onChange={({ detail }) => setCollaboration(detail.checked)}
        description="Only you and whom you add see it then, and work in it together. You add people in its Collaboration panel."
      >
        Allow Workspace collaboration
      </Checkbox>
      <ExpandableSection headerText="Advanced configuration">
        <SpaceBetween size="s">
          <RadioGroup
            ariaLabel="Compute"
            value={compute}
            items={COMPUTE}
            onChange={({ detail }) => setCompute(detail.value as Compute)}
          />
          {compute === "attach" ? <ClusterSelect value={clusterId} onChange={setClusterId} /> : null}
          {compute === "create" ? draft.fields : null}
        </SpaceBetween>
      </ExpandableSection>
    </Confirm>
  );
}
