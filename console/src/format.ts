/** How values look in tables. */

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Seconds since 1970 as local date and time. */
export function time(seconds: number | undefined): string {
  return seconds === undefined ? "–" : TIME.format(new Date(seconds * 1000));
}

/** "3 minutes" between two times in seconds. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** "1 cluster", "2 clusters", "– clusters" while it is not known. */
export function count(number: number | undefined, noun: string): string {
  return `${number ?? "–"} ${noun}${number === 1 ? "" : "s"}`;
}
