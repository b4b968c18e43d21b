/** Who is signed in and where; given to all pages by the app. */
import { createContext, useContext } from "react";
import type { Session } from "../api/client";
import type { Face } from "../face";

export interface Account {
  session: Session;
  face: Face;
  signOut: () => void;
}

export const AccountContext = createContext<Account | undefined>(undefined);

export function useAccount(): Account {
  const account = useContext(AccountContext);
  if (!account) throw new Error("useAccount outside the signed-in app");
  return account;
}
