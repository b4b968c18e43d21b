/** Which face of the console this origin shows: the account's, or one Studio's. */

export type Face = { kind: "admin" } | { kind: "studio"; studioId: string };

/** Host names know no case, Studio ids are upper-case: `es-abc….studio.localhost` is `es-ABC…`. */
export function faceOf(hostname: string): Face {
  const match = /^es-([a-z0-9]+)\.studio\./i.exec(hostname);
  return match?.[1] ? { kind: "studio", studioId: `es-${match[1].toUpperCase()}` } : { kind: "admin" };
}
