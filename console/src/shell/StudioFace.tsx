/** One Studio's own console: Dashboard, Workspaces, clusters. */
import { lazy } from "react";
import type { AwsError } from "../api/client";
import { describeStudio } from "../api/emr";
import type { Studio } from "../api/types";
import { ErrorBox } from "../components/ErrorBox";
import type { Route } from "../router";
import { usePolled } from "../state/polled";
import { Shell } from "./Shell";

const Dashboard = lazy(() => import("../pages/Dashboard"));
const WorkspacesPage = lazy(() => import("../pages/workspaces/WorkspacesPage"));
const ClustersPage = lazy(() => import("../pages/clusters/ClustersPage"));
const ClusterPage = lazy(() => import("../pages/clusters/ClusterPage"));

const ITEMS = [
  { type: "link" as const, text: "Dashboard", href: "#/dashboard" },
  { type: "link" as const, text: "Workspaces", href: "#/workspaces" },
  { type: "link" as const, text: "EMR on EC2 clusters", href: "#/clusters" },
];

interface PageProps {
  studioId: string;
  studio: Studio | undefined;
  /** That a new cluster may be in: none before the Studio is known; undefined, for who may not see it: the installation's. */
  subnetIds: string[] | undefined;
  route: Route;
}

function Page({ studioId, studio, subnetIds, route }: PageProps) {
  const [first, second] = route.parts;
  const create = second === "create";
  if (first === "workspaces") {
    return <WorkspacesPage key={String(create)} studioId={studioId} subnetIds={subnetIds} create={create} />;
  }
  if (first === "clusters" && second && !create) return <ClusterPage clusterId={second} />;
  if (first === "clusters") return <ClustersPage key={String(create)} subnetIds={subnetIds} create={create} />;
  return <Dashboard studio={studio} studioId={studioId} />;
}

const TITLES: Record<string, string> = { workspaces: "Workspaces", clusters: "EMR on EC2 clusters" };

/** Without DescribeStudio the Studio's name is unknown, but its Workspaces may still be used. */
function mayNotSee(error: AwsError): boolean {
  return error.code.startsWith("AccessDenied");
}

export function StudioFace({ studioId, route }: { studioId: string; route: Route }) {
  const studio = usePolled(studioId, (signal) => describeStudio(studioId, signal));
  const active = route.parts[0] ?? "dashboard";
  const subnetIds = studio.data?.SubnetIds ?? (studio.error ? undefined : []);
  return (
    <Shell
      title={studio.data?.Name ?? "EMR Studio"}
      items={ITEMS}
      activeHref={`#/${active}`}
      pageTitle={TITLES[active] ?? "Dashboard"}
    >
      {studio.error && !studio.data && !mayNotSee(studio.error) ? (
        <ErrorBox what="This Studio cannot be shown" error={studio.error} retry={studio.refresh} />
      ) : (
        <Page studioId={studioId} studio={studio.data} subnetIds={subnetIds} route={route} />
      )}
    </Shell>
  );
}
