import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { listClusters, listEditors } from "../api/emr";
import type { Editor, Studio } from "../api/types";
import { EditorState } from "../components/States";
import { count, time } from "../format";
import { navigate } from "../router";
import { usePolled } from "../state/polled";
import { ATTACHABLE_STATES, isEditorInTransition } from "../state/status";

interface Props {
  studioId: string;
  studio: Studio | undefined;
}

const NEWEST = 5;

function Tile({ title, text, action }: { title: string; text: string; action: ReactNode }) {
  return (
    <Container header={<Header variant="h2">{title}</Header>} footer={action} fitHeight>
      <Box variant="p" color="text-body-secondary">
        {text}
      </Box>
    </Container>
  );
}

function Recent({ editors }: { editors: Editor[] }) {
  const newest = [...editors].sort((a, b) => b.LastModifiedTime - a.LastModifiedTime).slice(0, NEWEST);
  if (newest.length === 0) return <Box color="text-body-secondary">No Workspaces yet.</Box>;
  return (
    <KeyValuePairs
      columns={newest.length > 3 ? 3 : (Math.max(1, newest.length) as 1 | 2 | 3)}
      items={newest.map((editor) => ({
        label: (
          <Link href={`#/open/${editor.EditorId}`} target="_blank" external externalIconAriaLabel="Opens in a new tab">
            {editor.Name}
          </Link>
        ),
        value: (
          <>
            <EditorState editor={editor} />
            <Box color="text-body-secondary" fontSize="body-s">
              Last modified {time(editor.LastModifiedTime)}
            </Box>
          </>
        ),
      }))}
    />
  );
}

/** What one can do here, and what was used last. */
export default function Dashboard({ studioId, studio }: Props) {
  const editors = usePolled(
    studioId,
    (signal) => listEditors(studioId, signal),
    (found) => found.some(isEditorInTransition),
  );
  const clusters = usePolled("usable", (signal) => listClusters(ATTACHABLE_STATES, signal));
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={studio?.Description}>
          Dashboard
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Grid gridDefinition={[4, 4, 4].map((m) => ({ colspan: { default: 12, s: m } }))}>
          <Tile
            title="Fully managed Jupyter notebooks"
            text="A Workspace is JupyterLab of your own, its files safe in S3."
            action={
              <Button variant="primary" onClick={() => navigate("/workspaces/create")}>
                Create Workspace
              </Button>
            }
          />
          <Tile
            title="Spark on EMR on EC2"
            text="A cluster with Spark, ready for Workspaces to be attached."
            action={<Button onClick={() => navigate("/clusters/create")}>Create cluster</Button>}
          />
          <Tile
            title="Continue your work"
            text={`${count(editors.data?.length, "Workspace")} in this Studio, ${count(clusters.data?.length, "usable cluster")}.`}
            action={<Button onClick={() => navigate("/workspaces")}>View Workspaces</Button>}
          />
        </Grid>
        <Container header={<Header variant="h2">Recently used Workspaces</Header>}>
          {editors.data ? <Recent editors={editors.data} /> : <Box>{editors.error?.message ?? "Loading …"}</Box>}
        </Container>
        {studio ? (
          <Container header={<Header variant="h2">This Studio</Header>}>
            <KeyValuePairs
              columns={3}
              items={[
                { label: "Studio ID", value: studio.StudioId },
                { label: "S3 location", value: studio.DefaultS3Location },
                { label: "Creation time", value: time(studio.CreationTime) },
              ]}
            />
          </Container>
        ) : null}
      </SpaceBetween>
    </ContentLayout>
  );
}
