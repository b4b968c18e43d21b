/** The flashbar: what succeeded, what failed. Anything below the shell may add to it. */
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import { createContext, useCallback, useContext, useMemo, useState, type ReactNode } from "react";
import { Failure } from "../components/Failure";
import { asAwsError } from "./polled";

interface Notices {
  success: (text: ReactNode) => void;
  failure: (what: string, error: unknown) => void;
  items: FlashbarProps.MessageDefinition[];
}

const Context = createContext<Notices | undefined>(undefined);
const MOST_SHOWN = 4;
const SUCCESS_STAYS_MS = 8000;
let counter = 0;

export function NoticesProvider({ children }: { children: ReactNode }) {
  const [items, setItems] = useState<FlashbarProps.MessageDefinition[]>([]);

  const add = useCallback((item: FlashbarProps.MessageDefinition, forgetAfter?: number) => {
    counter += 1;
    const id = `notice-${counter}`;
    const dismiss = () => setItems((old) => old.filter((other) => other.id !== id));
    setItems((old) =>
      [{ ...item, id, dismissible: true, dismissLabel: "Dismiss", onDismiss: dismiss }, ...old].slice(0, MOST_SHOWN),
    );
    if (forgetAfter) window.setTimeout(dismiss, forgetAfter);
  }, []);

  const notices = useMemo<Notices>(
    () => ({
      items,
      success: (text) => add({ type: "success", content: text }, SUCCESS_STAYS_MS),
      failure: (what, error) => {
        add({ type: "error", header: what, content: <Failure error={asAwsError(error)} /> });
      },
    }),
    [add, items],
  );
  return <Context.Provider value={notices}>{children}</Context.Provider>;
}

export function useNotices(): Notices {
  const notices = useContext(Context);
  if (!notices) throw new Error("useNotices outside NoticesProvider");
  return notices;
}

export function NoticesBar() {
  return <Flashbar items={useNotices().items} />;
}
