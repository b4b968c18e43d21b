/** The account's console: Studios, all Workspaces, clusters. */
import { lazy } from "react";
import type { Route } from "../router";
import { Shell } from "./Shell";

const StudiosPage = lazy(() => import("../pages/studios/StudiosPage"));
const StudioPage = lazy(() => import("../pages/studios/StudioPage"));
const CreateStudio = lazy(() => import("../pages/studios/CreateStudio"));
const WorkspacesPage = lazy(() => import("../pages/workspaces/WorkspacesPage"));
const ClustersPage = lazy(() => import("../pages/clusters/ClustersPage"));
const ClusterPage = lazy(() => import("../pages/clusters/ClusterPage"));

const ITEMS = [
  { type: "link" as const, text: "Studios", href: "#/studios" },
  { type: "link" as const, text: "Workspaces", href: "#/workspaces" },
  { type: "link" as const, text: "EMR on EC2 clusters", href: "#/clusters" },
];

function Page({ route }: { route: Route }) {
  const [first, second] = route.parts;
  if (first === "workspaces") return <WorkspacesPage />;
  if (first === "clusters" && second && second !== "create") return <ClusterPage clusterId={second} />;
  if (first === "clusters") return <ClustersPage key={second ?? ""} create={second === "create"} />;
  if (second === "create") return <CreateStudio />;
  if (first === "studios" && second) return <StudioPage studioId={second} />;
  return <StudiosPage />;
}

const TITLES: Record<string, string> = { workspaces: "Workspaces", clusters: "EMR on EC2 clusters" };

export function AdminFace({ route }: { route: Route }) {
  const active = route.parts[0] ?? "studios";
  return (
    <Shell
      title="EMR Studio administration"
      items={ITEMS}
      activeHref={`#/${active}`}
      pageTitle={TITLES[active] ?? "Studios"}
    >
      <Page route={route} />
    </Shell>
  );
}
