/**
 * Signs out after a time without a key or a click. The server does so too, but the console's own
 * polling counts there as use; what counts is the person. All tabs of the origin share the time.
 */
import { useEffect } from "react";

/** As long as the server's default (emr-studio.md 2.3: 15 minutes after the last activity). */
export const IDLE_MS = 15 * 60 * 1000;
const CHECK_MS = 15_000;
const WRITE_MS = 5_000;
const KEY = "emr-studio-last-activity";
const EVENTS = ["pointerdown", "keydown", "wheel"] as const;

/** Has the time run out? `stored` is what the tabs wrote: milliseconds since 1970, or nothing yet. */
export function isIdle(stored: string | null, now: number): boolean {
  const last = Number(stored);
  return stored !== null && Number.isFinite(last) && now - last > IDLE_MS;
}

/** Call `end` when nobody has touched any tab of this origin for `IDLE_MS`. */
export function useIdleEnd(signedIn: boolean, end: () => void): void {
  useEffect(() => {
    if (!signedIn) return undefined;
    let written = 0;
    function touched(): void {
      const now = Date.now();
      if (now - written < WRITE_MS) return;
      written = now;
      localStorage.setItem(KEY, String(now));
    }
    touched();
    const timer = window.setInterval(() => {
      if (isIdle(localStorage.getItem(KEY), Date.now())) end();
    }, CHECK_MS);
    EVENTS.forEach((name) => window.addEventListener(name, touched, { passive: true }));
    return () => {
      window.clearInterval(timer);
      EVENTS.forEach((name) => window.removeEventListener(name, touched));
    };
  }, [signedIn, end]);
}
