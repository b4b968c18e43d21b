import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useState, type FormEvent } from "react";
import type { AwsError } from "../../api/client";
import { createStudio, defaults } from "../../api/emr";
import type { Defaults } from "../../api/types";
import { ErrorBox } from "../../components/ErrorBox";
import { Failure } from "../../components/Failure";
import { navigate } from "../../router";
import { useNotices } from "../../state/notices";
import { asAwsError, usePolled } from "../../state/polled";
import { s3LocationError, studioNameError } from "../../state/status";
import { EMPTY, fromDefaults, groupsOf, toRequest, withGroups, type Groups, type StudioForm } from "./form";

const GROUPS: { value: Groups; label: string; description?: string }[] = [
  {
    value: "git",
    label: "Default groups, with Git",
    description: "DefaultEngineSecurityGroup, DefaultWorkspaceSecurityGroupGit: Workspaces reach Git servers over HTTPS.",
  },
  {
    value: "noGit",
    label: "Default groups, without Git",
    description: "DefaultEngineSecurityGroup, DefaultWorkspaceSecurityGroupWithoutGit: Workspaces reach their clusters alone.",
  },
  { value: "custom", label: "Custom groups" },
];

function Text(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  description?: string;
  error?: string;
  optional?: boolean;
}) {
  return (
    <FormField
      label={
        props.optional ? (
          <span>
            {props.label} <i>- optional</i>
          </span>
        ) : (
          props.label
        )
      }
      description={props.description}
      errorText={props.error ?? ""}
    >
      <Input value={props.value} onChange={({ detail }) => props.onChange(detail.value)} spellcheck={false} />
    </FormField>
  );
}

function StudioFields({ given }: { given: Defaults | undefined }) {
  const [form, setForm] = useState<StudioForm>(given ? fromDefaults(given) : EMPTY);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<AwsError>();
  const notices = useNotices();
  const set = (change: Partial<StudioForm>) => setForm((old) => ({ ...old, ...change }));
  const nameProblem = studioNameError(form.name);
  const locationProblem = s3LocationError(form.location);
  const required = (value: string) => (tried && !value.trim() ? "Required." : "");

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (nameProblem || locationProblem || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      const { StudioId, Url } = await createStudio(toRequest(form));
      notices.success(`Studio ${form.name} is created. Its access URL: ${Url}`);
      navigate(`/studios/${StudioId}`);
    } catch (failure) {
      setError(asAwsError(failure));
      setBusy(false);
    }
  }

  return (
    <form onSubmit={(event) => void submit(event)} aria-label="Create Studio">
      <Form
        header={<Header variant="h1">Create a Studio</Header>}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" formAction="none" onClick={() => navigate("/studios")}>
              Cancel
            </Button>
            <Button variant="primary" formAction="submit" loading={busy}>
              Create Studio
            </Button>
          </SpaceBetween>
        }
        {...(error ? { errorText: <Failure error={error} />, errorIconAriaLabel: "Error" } : {})}
      >
        <SpaceBetween size="l">
          <Container header={<Header variant="h2">Settings</Header>}>
            <ColumnLayout columns={2}>
              <Text
                label="Studio name"
                value={form.name}
                onChange={(name) => set({ name })}
                error={tried ? nameProblem : ""}
              />
              <Text label="Description" optional value={form.description} onChange={(description) => set({ description })} />
              <Text
                label="S3 location"
                description="Workspaces keep their files below it."
                value={form.location}
                onChange={(location) => set({ location })}
                error={tried ? locationProblem : ""}
              />
              <Text
                label="Service role"
                description="Name or ARN; must reach the S3 location."
                value={form.serviceRole}
                onChange={(serviceRole) => set({ serviceRole })}
                error={required(form.serviceRole)}
              />
            </ColumnLayout>
          </Container>
          <Container header={<Header variant="h2">Networking</Header>}>
            {given ? (
              <FormField label="Security groups" description="The default groups are there already; other groups are typed in below.">
                <RadioGroup
                  ariaLabel="Security groups"
                  value={groupsOf(form, given)}
                  items={GROUPS}
                  onChange={({ detail }) => set(withGroups(detail.value as Groups, form, given))}
                />
              </FormField>
            ) : null}
            <ColumnLayout columns={2}>
              <Text label="VPC" value={form.vpcId} onChange={(vpcId) => set({ vpcId })} error={required(form.vpcId)} />
              <Text
                label="Subnets"
                description="1 to 5 of the VPC, separated by commas. They can be added to later, never removed."
                value={form.subnets}
                onChange={(subnets) => set({ subnets })}
                error={required(form.subnets)}
              />
              <Text
                label="Engine security group"
                description="Of the clusters."
                value={form.engineGroup}
                onChange={(engineGroup) => set({ engineGroup })}
                error={required(form.engineGroup)}
              />
              <Text
                label="Workspace security group"
                description="Of the Workspaces."
                value={form.workspaceGroup}
                onChange={(workspaceGroup) => set({ workspaceGroup })}
                error={required(form.workspaceGroup)}
              />
            </ColumnLayout>
          </Container>
          <Container header={<Header variant="h2">Authentication</Header>}>
            <Box>IAM: users sign in at the Studio&apos;s access URL with an IAM user name and password.</Box>
          </Container>
        </SpaceBetween>
      </Form>
    </form>
  );
}

/** Create a Studio, prefilled with what this installation offers. */
export default function CreateStudio() {
  const given = usePolled("defaults", defaults);
  if (given.loading) return <Spinner size="large" />;
  return (
    <SpaceBetween size="l">
      {given.error ? <ErrorBox what="Defaults cannot be read" error={given.error} retry={given.refresh} /> : null}
      <StudioFields key={given.data ? "given" : "empty"} given={given.data} />
    </SpaceBetween>
  );
}
