/** Clusters by the time at which they were created. */

export type TimeUnit = "second" | "minute" | "hour" | "day" | "week" | "month" | "year";

/** What a range picker holds: so long back from now, or from one moment to another (ISO 8601). */
export type CreatedRange =
  | { type: "relative"; amount: number; unit: TimeUnit }
  | { type: "absolute"; startDate: string; endDate: string };

const SECONDS: Record<Exclude<TimeUnit, "month" | "year">, number> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 24 * 3600,
  week: 7 * 24 * 3600,
};

function back(now: Date, amount: number, unit: TimeUnit): number {
  if (unit !== "month" && unit !== "year") return now.getTime() / 1000 - amount * SECONDS[unit];
  // The same day of an earlier month; the last one where that month is shorter.
  const months = now.getMonth() - amount * (unit === "year" ? 12 : 1);
  const day = Math.min(now.getDate(), new Date(now.getFullYear(), months + 1, 0).getDate());
  const then = new Date(now);
  then.setFullYear(now.getFullYear(), months, day);
  return then.getTime() / 1000;
}

/** Whether something of that creation time (seconds since 1970) is in the range; everything is in none. */
export function createdIn(range: CreatedRange | null, created: number, now: Date): boolean {
  if (!range) return true;
  if (range.type === "relative") return created >= back(now, range.amount, range.unit);
  return created >= Date.parse(range.startDate) / 1000 && created <= Date.parse(range.endDate) / 1000;
}

/** Why a range cannot be meant; undefined for one that can. */
export function rangeError(range: CreatedRange | null): string | undefined {
  if (!range) return undefined;
  if (range.type === "relative") return range.amount > 0 ? undefined : "Enter a duration of 1 or more.";
  const [start, end] = [Date.parse(range.startDate), Date.parse(range.endDate)];
  if (Number.isNaN(start) || Number.isNaN(end)) return "Enter a start and an end, each with date and time.";
  return start > end ? "The start is after the end." : undefined;
}
