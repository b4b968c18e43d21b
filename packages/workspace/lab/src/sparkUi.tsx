/** A way to Spark's own pages, for whoever may. */
import * as React from "react";
import * as api from "./api";
import { Failure, useAttempt } from "./panel";

/** Which of Spark's pages shows something: those of the live application that notebooks share, or the history. */
export type SparkPage = "live" | "history";

const NAMES: Record<SparkPage, string> = { live: "Spark UI", history: "Spark history" };
const TITLES: Record<SparkPage, string> = {
  live: "The Spark UI of the attached cluster, in a new tab",
  history: "The history of Spark applications on the attached cluster, in a new tab",
};

/** The tab is opened at the click, or the browser would take it for an advertisement. */
async function open(page: SparkPage): Promise<void> {
  const tab = window.open("", "_blank");
  try {
    const url = await api.sparkUi(page === "history" ? "SparkHistoryServer" : undefined);
    if (!url) throw new Error(`The ${NAMES[page]} is not ready yet. Try again in a moment.`);
    if (!tab) throw new Error("The browser blocked the new tab: allow pop-ups for this page.");
    tab.opener = null;
    tab.location.href = url;
  } catch (error) {
    tab?.close();
    throw error;
  }
}

export function SparkUi({ page = "live" }: { page?: SparkPage }) {
  const [attempt, { busy, failure }] = useAttempt();
  return (
    <>
      <button
        className="jp-mod-styled emrs-button"
        disabled={busy}
        title={TITLES[page]}
        onClick={() => attempt(() => open(page))}
      >
        {NAMES[page]}
      </button>
      <Failure text={failure} />
    </>
  );
}
