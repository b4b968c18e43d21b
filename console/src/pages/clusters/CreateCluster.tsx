import ColumnLayout from "@cloudscape-design/components/column-layout";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState, type ReactNode } from "react";
import { defaults, runJobFlow, type NewCluster } from "../../api/emr";
import type { Defaults } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorBox } from "../../components/ErrorBox";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";
import { s3LocationError } from "../../state/status";

interface Props {
  subnetIds: string[] | undefined;
  onClose: () => void;
  onCreated: () => void;
}

interface Form {
  name: string;
  releaseLabel?: string;
  primaryType?: string;
  coreType?: string;
  coreCount: string;
  subnetId?: string;
  logUri?: string;
}

const MOST_CORE_NODES = 20;

/** The form with the installation's defaults for what was not chosen. */
function wanted(form: Form, given: Defaults, subnets: string[]): NewCluster {
  const firstType = given.instanceTypes[0] ?? "m5.xlarge";
  return {
    name: form.name.trim(),
    releaseLabel: form.releaseLabel ?? given.releaseLabels[0] ?? "",
    primaryType: form.primaryType ?? firstType,
    coreType: form.coreType ?? firstType,
    coreCount: Number(form.coreCount),
    subnetId: form.subnetId ?? subnets[0] ?? "",
    logUri: form.logUri ?? "",
    jobFlowRole: given.jobFlowRole,
    serviceRole: given.emrServiceRole,
  };
}

function countError(text: string): string {
  const good = /^\d+$/.test(text) && Number(text) <= MOST_CORE_NODES;
  return good ? "" : `A whole number from 0 to ${MOST_CORE_NODES}.`;
}

function Choice(props: { label: string; value: string; values: string[]; onChange: (value: string) => void }) {
  const options = props.values.map((value) => ({ value, label: value }));
  return (
    <FormField label={props.label}>
      <Select
        options={options}
        selectedOption={{ value: props.value, label: props.value }}
        onChange={({ detail }) => props.onChange(detail.selectedOption.value ?? "")}
        empty="Nothing to choose from"
      />
    </FormField>
  );
}

/** A new cluster being described: its fields, and the request once it is whole. */
export interface ClusterDraft {
  fields: ReactNode;
  /** Undefined while something is missing or wrong. */
  cluster: NewCluster | undefined;
}

/** The fields of a new cluster. `subnetIds`: those it may be in; without them the installation's. */
export function useClusterDraft(subnetIds: string[] | undefined): ClusterDraft {
  const given = usePolled("defaults", defaults);
  const [form, setForm] = useState<Form>({ name: "", coreCount: "2" });
  const [touched, setTouched] = useState(false);
  const set = (change: Partial<Form>) => setForm((old) => ({ ...old, ...change }));
  const subnets = subnetIds ?? given.data?.subnetIds ?? [];
  const cluster = given.data ? wanted(form, given.data, subnets) : undefined;
  const logProblem = form.logUri ? s3LocationError(form.logUri) : "";
  const complete = Boolean(cluster?.name && cluster.subnetId) && !countError(form.coreCount) && !logProblem;
  const types = given.data?.instanceTypes ?? [];

  const fields = (
    <SpaceBetween size="m">
      {given.error ? <ErrorBox what="Defaults cannot be read" error={given.error} retry={given.refresh} /> : null}
      <FormField label="Cluster name" errorText={touched && !form.name.trim() ? "Enter a name." : ""}>
        <Input
          value={form.name}
          onChange={({ detail }) => {
            set({ name: detail.value });
            setTouched(true);
          }}
          autoFocus
        />
      </FormField>
      <ColumnLayout columns={2}>
        <Choice
          label="EMR release"
          value={cluster?.releaseLabel ?? ""}
          values={given.data?.releaseLabels ?? []}
          onChange={(releaseLabel) => set({ releaseLabel })}
        />
        <Choice label="Subnet" value={cluster?.subnetId ?? ""} values={subnets} onChange={(subnetId) => set({ subnetId })} />
        <Choice
          label="Primary instance type"
          value={cluster?.primaryType ?? ""}
          values={types}
          onChange={(primaryType) => set({ primaryType })}
        />
        <Choice
          label="Core instance type"
          value={cluster?.coreType ?? ""}
          values={types}
          onChange={(coreType) => set({ coreType })}
        />
        <FormField label="Core instances" errorText={countError(form.coreCount)}>
          <Input
            type="number"
            inputMode="numeric"
            value={form.coreCount}
            onChange={({ detail }) => set({ coreCount: detail.value })}
          />
        </FormField>
        <FormField
          label={
            <span>
              S3 location for logs <i>- optional</i>
            </span>
          }
          errorText={logProblem}
        >
          <Input
            value={form.logUri ?? ""}
            placeholder="s3://bucket/logs/"
            onChange={({ detail }) => set({ logUri: detail.value.trim() })}
          />
        </FormField>
      </ColumnLayout>
    </SpaceBetween>
  );
  return { fields, cluster: complete ? cluster : undefined };
}

/** Create a cluster with what a Workspace needs: Spark, Livy, Jupyter Enterprise Gateway. */
export function CreateCluster({ subnetIds, onClose, onCreated }: Props) {
  const { fields, cluster } = useClusterDraft(subnetIds);
  const notices = useNotices();

  async function run(): Promise<void> {
    if (!cluster) return;
    const { JobFlowId } = await runJobFlow(cluster);
    notices.success(`Cluster ${cluster.name} (${JobFlowId}) is starting.`);
    onCreated();
  }

  return (
    <Confirm title="Create a cluster" action="Create cluster" run={run} onClose={onClose} disabled={!cluster}>
      {fields}
    </Confirm>
  );
}
