/** Data that keeps itself fresh: often while something changes, rarely otherwise, never in a hidden tab. */
import { useCallback, useEffect, useRef, useState } from "react";
import { AwsError } from "../api/client";
import { POLL_MS } from "./status";

export interface Polled<T> {
  data: T | undefined;
  /** The last attempt's error; older data stays beside it. */
  error: AwsError | undefined;
  /** No answer yet, neither data nor error. */
  loading: boolean;
  /** Ask again now; resolves when the answer is in. */
  refresh: () => Promise<void>;
}

export function asAwsError(error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  return new AwsError("ConsoleError", error instanceof Error ? error.message : String(error), 0);
}

const CHANGES = "emr-studio-changes";

/** Tell this origin's other tabs that something was changed, so that they ask again at once. */
export function announceChange(): void {
  const channel = new BroadcastChannel(CHANGES);
  channel.postMessage("changed");
  channel.close();
}

/** How long to wait for the next question. */
export function pollDelay<T>(data: T | undefined, failed: boolean, isBusy: (data: T) => boolean): number {
  return !failed && data !== undefined && isBusy(data) ? POLL_MS.busy : POLL_MS.quiet;
}

/**
 * Ask `ask` again and again. `key` names what is asked: when it changes, the old data is dropped.
 * Without `isBusy` the data is asked rarely.
 */
export function usePolled<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  isBusy: (data: T) => boolean = () => false,
): Polled<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: AwsError }>({ key });
  const askRef = useRef({ ask, isBusy });
  const poll = useRef<() => Promise<void>>(async () => undefined);
  useEffect(() => {
    askRef.current = { ask, isBusy };
  });

  useEffect(() => {
    let timer: number | undefined;
    let running: AbortController | undefined;
    let last: T | undefined;

    async function once(): Promise<void> {
      window.clearTimeout(timer);
      running?.abort();
      const mine = new AbortController();
      running = mine;
      let failed = false;
      try {
        last = await askRef.current.ask(mine.signal);
        if (!mine.signal.aborted) setState({ key, data: last });
      } catch (error) {
        if (mine.signal.aborted) return;
        failed = true;
        const found = asAwsError(error);
        setState((old) => ({ ...(old.key === key ? old : { key }), error: found }));
      }
      if (!mine.signal.aborted) schedule(pollDelay(last, failed, askRef.current.isBusy));
    }
    function schedule(delay: number): void {
      window.clearTimeout(timer);
      if (!document.hidden) timer = window.setTimeout(() => void once(), delay);
    }
    function seen(): void {
      if (document.hidden) window.clearTimeout(timer);
      else void once();
    }
    poll.current = once;
    document.addEventListener("visibilitychange", seen);
    const changes = new BroadcastChannel(CHANGES);
    changes.onmessage = seen;
    void once();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      changes.close();
      window.clearTimeout(timer);
      running?.abort();
    };
  }, [key]);

  const refresh = useCallback(() => poll.current(), []);
  const current = state.key === key ? state : { key };
  return {
    data: current.data,
    error: current.error,
    loading: current.data === undefined && current.error === undefined,
    refresh,
  };
}
