import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import Toggle from "@cloudscape-design/components/toggle";
import { useState } from "react";
import { createEditor } from "../../api/emr";
import { Confirm } from "../../components/Confirm";
import { workspaceNameError } from "../../state/status";
import { useNotices } from "../../state/notices";
import { ClusterSelect } from "./ClusterSelect";

interface Props {
  studioId: string;
  onClose: () => void;
  onCreated: () => void;
}

/** Create a Workspace, attached to a cluster at once if wanted. */
export function CreateWorkspace({ studioId, onClose, onCreated }: Props) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [attach, setAttach] = useState(false);
  const [clusterId, setClusterId] = useState<string>();
  const [touched, setTouched] = useState(false);
  const notices = useNotices();
  const problem = workspaceNameError(name);

  async function run(): Promise<void> {
    await createEditor(studioId, name.trim(), description.trim(), attach ? clusterId : undefined);
    notices.success(`Workspace ${name.trim()} is being created.`);
    onCreated();
  }

  return (
    <Confirm
      title="Create a Workspace"
      action="Create Workspace"
      run={run}
      onClose={onClose}
      disabled={Boolean(problem) || (attach && !clusterId)}
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
      <ExpandableSection headerText="Advanced configuration">
        <SpaceBetween size="s">
          <Toggle checked={attach} onChange={({ detail }) => setAttach(detail.checked)}>
            Attach Workspace to an EMR cluster
          </Toggle>
          {attach ? <ClusterSelect value={clusterId} onChange={setClusterId} /> : null}
        </SpaceBetween>
      </ExpandableSection>
    </Confirm>
  );
}
