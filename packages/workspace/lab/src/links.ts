/** How links of Git repositories are called and counted. */
import type { LinkStatus } from "./types";

export const MOST_LINKED = 3;

const LABELS: Record<LinkStatus, string> = {
  Linking: "Linking",
  Linked: "Linked",
  LinkFailed: "Link failed",
  Unlinking: "Unlinking",
  UnlinkFailed: "Unlink failed",
};

export const linkLabel = (status: LinkStatus): string => LABELS[status];

/** A failed link takes none of the three places. */
export const takesPlace = (status: LinkStatus): boolean => status !== "LinkFailed";

export const isUnderWay = (status: LinkStatus): boolean => status === "Linking" || status === "Unlinking";

/** A secret's name, as its ARN has it before six characters of its own. */
export const secretName = (arn: string): string => arn.replace(/^.*:secret:/, "").replace(/-[A-Za-z0-9]{6}$/, "");
