import type { ServiceManager } from "@jupyterlab/services";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Cancelled, SqlError, SqlKernel } from "./sqlKernel";

type Content = { status: string; evalue?: string; ename?: string };

/** A kernel that works at one thing after the other, and ends each when the test says so. */
class Kernel {
  readonly codes: string[] = [];
  interrupts = 0;
  status = "idle";
  isDisposed = false;
  private readonly ends: ((content: Content) => void)[] = [];
  private readonly futures: { onIOPub?: (message: object) => void }[] = [];

  requestExecute({ code }: { code: string }) {
    const future: { done: Promise<{ content: Content }>; onIOPub?: (message: object) => void } = {
      done: new Promise((resolve) => {
        if (code.includes("def _emr_studio_tell")) resolve({ content: { status: "ok" } });
        else this.ends.push((content) => resolve({ content }));
      }),
    };
    if (code.includes("def _emr_studio_tell")) return future;
    this.codes.push(code);
    this.futures.push(future);
    return future;
  }

  begin(index: number, state = "busy"): void {
    this.futures[index]?.onIOPub?.({ content: { execution_state: state } });
  }

  end(index: number, content: Content = { status: "ok" }): void {
    this.ends[index]?.(content);
  }

  async interrupt() {
    this.interrupts += 1;
  }
}

function started() {
  const kernel = new Kernel();
  const sessions = { refreshRunning: async () => undefined, running: () => [], startNew: async () => ({ kernel }) };
  return { kernel, sql: new SqlKernel({ sessions } as unknown as ServiceManager.IManager) };
}

const soon = () => new Promise((resolve) => setTimeout(resolve));

afterEach(() => {
  vi.useRealTimers();
});

describe("the SQL session", () => {
  it("interrupts the statement that is cancelled", async () => {
    const { kernel, sql } = started();
    const stop = new AbortController();
    let begun = 0;
    const answer = sql.run("SELECT 1", 1, { signal: stop.signal, onBegin: () => (begun += 1) });
    await soon();
    kernel.begin(0);
    stop.abort();
    kernel.end(0, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
    await expect(answer).rejects.toThrow(Cancelled);
    expect([begun, kernel.interrupts]).toEqual([1, 1]);
  });

  it("never interrupts another one for it", async () => {
    const { kernel, sql } = started();
    const first = sql.run("SELECT 1", 1);
    const stop = new AbortController();
    const second = sql.run("SELECT 2", 1, { signal: stop.signal });
    const third = sql.run("SELECT 3", 1);
    await soon();
    kernel.begin(0);
    stop.abort();
    await expect(second).rejects.toThrow(Cancelled);
    kernel.end(0);
    await first;
    await soon();
    kernel.end(1);
    await third;
    expect(kernel.interrupts).toBe(0);
    expect(kernel.codes.map((code) => /SELECT \d/.exec(code)?.[0])).toEqual(["SELECT 1", "SELECT 3"]);
  });

  it("waits for its turn behind another page's, and is interrupted then", async () => {
    const { kernel, sql } = started();
    const stop = new AbortController();
    const answer = sql.run("SELECT 1", 1, { signal: stop.signal });
    await soon();
    stop.abort();
    await expect(answer).rejects.toThrow(Cancelled);
    expect(kernel.interrupts).toBe(0);
    kernel.begin(0);
    expect(kernel.interrupts).toBe(1);
  });

  it("interrupts again until the statement has ended, and not after it", async () => {
    vi.useFakeTimers();
    const { kernel, sql } = started();
    const stop = new AbortController();
    const answer = sql.run("SELECT 1", 1, { signal: stop.signal });
    const second = sql.run("SELECT 2", 1);
    await vi.advanceTimersByTimeAsync(0);
    kernel.begin(0);
    stop.abort();
    await vi.advanceTimersByTimeAsync(2000);
    expect(kernel.interrupts).toBe(3);
    kernel.end(0, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
    await expect(answer).rejects.toThrow(Cancelled);
    await vi.advanceTimersByTimeAsync(0);
    kernel.begin(1);
    await vi.advanceTimersByTimeAsync(5000);
    kernel.end(1);
    await second;
    expect(kernel.interrupts).toBe(3);
  });

  it("begins the next statement once the last interrupt has arrived", async () => {
    const { kernel, sql } = started();
    let arrive = () => {};
    kernel.interrupt = () => new Promise<void>((resolve) => (arrive = resolve));
    const stop = new AbortController();
    const answer = sql.run("SELECT 1", 1, { signal: stop.signal });
    const second = sql.run("SELECT 2", 1);
    await soon();
    kernel.begin(0);
    stop.abort();
    kernel.end(0, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
    await soon();
    expect(kernel.codes).toHaveLength(1);
    arrive();
    await expect(answer).rejects.toThrow(Cancelled);
    await soon();
    kernel.end(1);
    await second;
  });

  it("goes on after a cancelled statement to which the kernel gives no reply", async () => {
    const { kernel, sql } = started();
    const stop = new AbortController();
    const answer = sql.run("SELECT 1", 1, { signal: stop.signal });
    await soon();
    kernel.begin(0);
    stop.abort();
    kernel.begin(0, "idle");
    await expect(answer).rejects.toThrow(Cancelled);
    const second = sql.run("SELECT 1", 1);
    await soon();
    kernel.end(1);
    await second;
  });

  it("goes on after a statement that failed", async () => {
    const { kernel, sql } = started();
    const first = sql.run("SELEC", 1);
    await soon();
    kernel.end(0, { status: "error", ename: "ParseException", evalue: "[PARSE_SYNTAX_ERROR] no" });
    await expect(first).rejects.toThrow(SqlError);
    const second = sql.run("SELECT 1", 1);
    await soon();
    kernel.end(1);
    await second;
  });
});
