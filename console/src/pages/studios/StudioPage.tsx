import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import { useState } from "react";
import { deleteStudio, describeStudio, updateStudio } from "../../api/emr";
import type { Studio } from "../../api/types";
import { Confirm } from "../../components/Confirm";
import { ErrorBox } from "../../components/ErrorBox";
import { time } from "../../format";
import { navigate } from "../../router";
import { useNotices } from "../../state/notices";
import { usePolled } from "../../state/polled";
import { s3LocationError, studioNameError } from "../../state/status";

function Settings({ studio }: { studio: Studio }) {
  return (
    <Container header={<Header variant="h2">Settings</Header>}>
      <KeyValuePairs
        columns={3}
        items={[
          { label: "Studio ID", value: studio.StudioId },
          { label: "Creation date", value: time(studio.CreationTime) },
          { label: "Authentication mode", value: studio.AuthMode === "SSO" ? "IAM Identity Center" : "IAM" },
          {
            label: "Studio access URL",
            value: (
              <Link href={studio.Url} target="_blank" external externalIconAriaLabel="Opens in a new tab">
                {studio.Url}
              </Link>
            ),
          },
          { label: "S3 location", value: studio.DefaultS3Location },
          { label: "Description", value: studio.Description || "–" },
          { label: "Service role", value: studio.ServiceRole },
          ...(studio.UserRole ? [{ label: "User role", value: studio.UserRole }] : []),
          { label: "ARN", value: studio.StudioArn },
          { label: "VPC", value: studio.VpcId },
          { label: "Subnets", value: <div style={{ whiteSpace: "pre-line" }}>{studio.SubnetIds.join("\n")}</div> },
          { label: "Engine security group", value: studio.EngineSecurityGroupId },
          { label: "Workspace security group", value: studio.WorkspaceSecurityGroupId },
          {
            label: "Tags",
            value: studio.Tags?.map(({ Key, Value }) => `${Key} = ${Value}`).join(", ") || "–",
          },
        ]}
      />
    </Container>
  );
}

function EditStudio({ studio, onClose, onSaved }: { studio: Studio; onClose: () => void; onSaved: () => void }) {
  const [name, setName] = useState(studio.Name);
  const [description, setDescription] = useState(studio.Description ?? "");
  const [location, setLocation] = useState(studio.DefaultS3Location);
  const notices = useNotices();

  async function run(): Promise<void> {
    await updateStudio({
      StudioId: studio.StudioId,
      Name: name,
      Description: description,
      ...(location === studio.DefaultS3Location ? {} : { DefaultS3Location: location }),
    });
    notices.success(`Studio ${name} is saved.`);
    onSaved();
  }

  const bad = Boolean(studioNameError(name) || s3LocationError(location));
  return (
    <Confirm title={`Edit ${studio.Name}`} action="Save changes" run={run} onClose={onClose} disabled={bad}>
      <FormField label="Studio name" errorText={studioNameError(name)}>
        <Input value={name} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <FormField label="Description">
        <Input value={description} onChange={({ detail }) => setDescription(detail.value)} />
      </FormField>
      <FormField label="S3 location" errorText={s3LocationError(location)}>
        <Input value={location} onChange={({ detail }) => setLocation(detail.value)} />
      </FormField>
    </Confirm>
  );
}

export default function StudioPage({ studioId }: { studioId: string }) {
  const studio = usePolled(studioId, (signal) => describeStudio(studioId, signal));
  const [dialog, setDialog] = useState<"edit" | "delete" | undefined>();
  const notices = useNotices();
  const found = studio.data;
  const close = () => setDialog(undefined);

  async function remove(): Promise<void> {
    await deleteStudio(studioId);
    notices.success(`Studio ${found?.Name ?? studioId} is deleted.`);
    navigate("/studios");
  }

  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button href="#/studios">All Studios</Button>
              <Button disabled={!found} onClick={() => setDialog("edit")}>
                Edit
              </Button>
              <Button disabled={!found} onClick={() => setDialog("delete")}>
                Delete
              </Button>
            </SpaceBetween>
          }
        >
          {found?.Name ?? studioId}
        </Header>
      }
    >
      {studio.error ? <ErrorBox what="The Studio cannot be shown" error={studio.error} retry={studio.refresh} /> : null}
      {studio.loading ? <Spinner size="large" /> : null}
      {found ? <Settings studio={found} /> : null}
      {dialog === "edit" && found ? (
        <EditStudio studio={found} onClose={close} onSaved={() => void studio.refresh()} />
      ) : null}
      {dialog === "delete" && found ? (
        <Confirm title="Delete Studio" action="Delete" run={remove} onClose={close}>
          <Box>Delete {found.Name}? Its Workspaces and their files in S3 are kept.</Box>
        </Confirm>
      ) : null}
    </ContentLayout>
  );
}
