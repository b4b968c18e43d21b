import FormField from "@cloudscape-design/components/form-field";
import Select from "@cloudscape-design/components/select";
import { listClusters } from "../../api/emr";
import { ATTACHABLE_STATES, stateLabel } from "../../state/status";
import { usePolled } from "../../state/polled";

interface Props {
  value: string | undefined;
  onChange: (clusterId: string) => void;
  errorText?: string;
}

/** The clusters that a Workspace can be attached to now. */
export function ClusterSelect({ value, onChange, errorText }: Props) {
  const clusters = usePolled("attachable", (signal) => listClusters(ATTACHABLE_STATES, signal));
  const options = (clusters.data ?? []).map((cluster) => ({
    value: cluster.Id,
    label: cluster.Name,
    description: `${cluster.Id} · ${stateLabel(cluster.Status.State)}`,
  }));
  const status = clusters.loading ? "loading" : clusters.error ? "error" : "finished";
  return (
    <FormField label="EMR on EC2 cluster" errorText={errorText ?? ""} description="Clusters that are waiting or running.">
      <Select
        options={options}
        selectedOption={options.find((option) => option.value === value) ?? null}
        onChange={({ detail }) => onChange(detail.selectedOption.value ?? "")}
        placeholder="Choose a cluster"
        statusType={status}
        loadingText="Loading clusters"
        errorText={clusters.error ? `${clusters.error.code}: ${clusters.error.detail}` : ""}
        recoveryText="Retry"
        onLoadItems={() => undefined}
        empty="No cluster is waiting or running. Create one on the clusters page."
        filteringType={options.length > 8 ? "auto" : "none"}
      />
    </FormField>
  );
}
