/** How states and times are read by people. */
import type { Backup, Disk, Editor } from "./types";

const NEARLY_FULL = 0.9;

/** "TERMINATED_WITH_ERRORS" as people read it: "Terminated with errors". */
export function stateLabel(state: string): string {
  const words = state.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function clock(when: Date): string {
  return when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** One line about the backup, and whether it needs somebody's attention. */
export function backupLine(backup: Backup | null | undefined): { text: string; tone: "good" | "busy" | "bad" } {
  if (!backup) return { text: "Not saved to S3", tone: "bad" };
  if (backup.error) return { text: "Saving to S3 fails", tone: "bad" };
  if (backup.pending > 0 || !backup.savedAt) return { text: "Saving to S3…", tone: "busy" };
  return { text: `Saved to S3 ${clock(new Date(backup.savedAt))}`, tone: "good" };
}

/** One line about the disk, and whether it needs somebody's attention. */
export function diskLine(disk: Disk): { text: string; tone: "good" | "bad" } {
  const used = disk.limitBytes > 0 ? disk.usedBytes / disk.limitBytes : 0;
  const text = `${bytes(disk.usedBytes)} of ${bytes(disk.limitBytes)} used`;
  if (disk.message) return { text: "Disk full", tone: "bad" };
  return { text, tone: used >= NEARLY_FULL ? "bad" : "good" };
}

/** One line about the compute. */
export function computeLine(editor: Editor | undefined, clusterName: string | undefined): string {
  const name = clusterName ?? editor?.ExecutionEngine?.Id;
  if (!editor) return "Compute…";
  if (editor.Status === "Attached") return `Compute: ${name}`;
  if (editor.Status === "Attaching") return `Attaching ${name}…`;
  return editor.Status === "Ready" ? "No compute" : editor.Status;
}

/** "Stops at 15:04", with the date where that is another day. */
export function stopLine(seconds: number, now: Date): string {
  const when = new Date(seconds * 1000);
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const day = when.toDateString() === now.toDateString() ? "" : `${when.toLocaleDateString()} `;
  return `Stops at ${day}${time} unless used`;
}

/** "0.4 s", "12 s", "3 min 5 s" */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** "12 KB" */
export function bytes(size: number): string {
  const units = ["bytes", "KB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(size, 1)) / Math.log(1000)));
  return `${Math.round(size / 1000 ** power)} ${units[power]}`;
}

/** RFC 4180, with a byte order mark so that spreadsheets read UTF-8. */
export function csv(columns: string[], rows: (string | null)[][]): string {
  const quoted = (value: string | null) => {
    const text = value ?? "";
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return "\ufeff" + [columns, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}
