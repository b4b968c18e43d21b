/** Signed out: the sign-in page. Signed in: the face that this origin shows. */
import Box from "@cloudscape-design/components/box";
import Spinner from "@cloudscape-design/components/spinner";
import { useCallback, useEffect, useState, type Dispatch, type SetStateAction } from "react";
import { client, type Session } from "./api/client";
import { faceOf } from "./face";
import { parseHash, useHash } from "./router";
import { AdminFace } from "./shell/AdminFace";
import { SignIn, type SignInReason } from "./shell/SignIn";
import { StudioFace } from "./shell/StudioFace";
import { AccountContext } from "./state/account";
import { useIdleEnd } from "./state/idle";
import { NoticesProvider } from "./state/notices";
import { asAwsError } from "./state/polled";
import { OpenUi } from "./pages/clusters/OpenUi";
import { OpenWorkspace } from "./pages/workspaces/OpenWorkspace";

type State =
  | { kind: "looking" }
  | { kind: "out"; reason: SignInReason; error?: string }
  | { kind: "in"; session: Session };

const FACE = faceOf(window.location.hostname);

function useSession(): [State, Dispatch<SetStateAction<State>>] {
  const [state, setState] = useState<State>({ kind: "looking" });
  useEffect(() => {
    const stop = client.onSessionLost(() => setState({ kind: "out", reason: "ended" }));
    client.resume().then(
      (session) => setState(session ? { kind: "in", session } : { kind: "out", reason: "new" }),
      (error: unknown) => setState({ kind: "out", reason: "new", error: asAwsError(error).detail }),
    );
    return stop;
  }, []);
  return [state, setState];
}

export function App() {
  const [state, setState] = useSession();
  const route = parseHash(useHash());
  const leave = useCallback(
    (reason: SignInReason) => {
      client.signOut().then(
        () => setState({ kind: "out", reason }),
        (error: unknown) => setState({ kind: "out", reason, error: asAwsError(error).detail }),
      );
    },
    [setState],
  );
  const idle = useCallback(() => leave("ended"), [leave]);
  useIdleEnd(state.kind === "in", idle);

  if (state.kind === "looking") {
    return (
      <Box textAlign="center" padding="xxxl">
        <Spinner size="large" />
      </Box>
    );
  }
  if (state.kind === "out") {
    // The hash stays as it is: after signing in again the same place is shown.
    return (
      <SignIn
        face={FACE}
        reason={state.reason}
        {...(state.error ? { problem: state.error } : {})}
        onSignedIn={(session) => setState({ kind: "in", session })}
      />
    );
  }
  const account = { session: state.session, face: FACE, signOut: () => leave("left") };
  return (
    <AccountContext value={account}>
      <NoticesProvider>
        {route.parts[0] === "open" && route.parts[1] ? (
          <OpenWorkspace editorId={route.parts[1]} clusterId={route.query.get("cluster") ?? undefined} />
        ) : route.parts[0] === "spark-ui" && route.parts[1] ? (
          <OpenUi clusterId={route.parts[1]} wanted={route.query.get("ui") === "history" ? "history" : undefined} />
        ) : FACE.kind === "studio" ? (
          <StudioFace studioId={FACE.studioId} route={route} />
        ) : (
          <AdminFace route={route} />
        )}
      </NoticesProvider>
    </AccountContext>
  );
}
