import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState, type FormEvent } from "react";
import { client, type Session } from "../api/client";
import type { Face } from "../face";
import { asAwsError } from "../state/polled";
import { Product } from "./Product";

/** Why the page is shown: first visit, the session ended by itself, or the person signed out. */
export type SignInReason = "new" | "ended" | "left";

interface Props {
  face: Face;
  reason: SignInReason;
  problem?: string;
  onSignedIn: (session: Session) => void;
}

function Why({ reason }: { reason: SignInReason }) {
  if (reason === "new") return null;
  const text = reason === "ended" ? "You were signed out; log back in." : "You have signed out.";
  return <Alert type={reason === "ended" ? "warning" : "info"}>{text}</Alert>;
}

export function SignIn({ face, reason, problem, onSignedIn }: Props) {
  const [accountId, setAccountId] = useState("");
  const [userName, setUserName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState(problem ?? "");
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  useEffect(() => {
    document.title = "Sign in – EMR Studio";
  }, []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (!userName || !password || busy) return;
    setBusy(true);
    setError("");
    try {
      const account = accountId.trim();
      onSignedIn(await client.signIn({ userName, password, ...(account ? { accountId: account } : {}) }));
    } catch (failure) {
      setError(asAwsError(failure).detail);
      setBusy(false);
    }
  }

  return (
    <main style={{ maxWidth: 440, margin: "0 auto", padding: "8vh 16px" }}>
      <SpaceBetween size="l">
        <Box textAlign="center">
          <Product />
        </Box>
        <Why reason={reason} />
        <form onSubmit={(event) => void submit(event)} aria-label="Sign in">
          <Container
            header={
              <Header
                variant="h1"
                description={face.kind === "studio" ? `Studio ${face.studioId}` : "Administration of this account"}
              >
                Sign in
              </Header>
            }
          >
            <Form
              actions={
                <Button variant="primary" formAction="submit" loading={busy} loadingText="Signing in">
                  Sign in
                </Button>
              }
            >
              <SpaceBetween size="m">
                {error ? (
                  <div role="alert">
                    <Alert type="error">{error}</Alert>
                  </div>
                ) : null}
                <FormField label="IAM user name" errorText={tried && !userName ? "Enter your user name." : ""}>
                  <Input
                    value={userName}
                    onChange={({ detail }) => setUserName(detail.value)}
                    autoComplete="username"
                    name="username"
                    autoFocus
                    spellcheck={false}
                  />
                </FormField>
                <FormField label="Password" errorText={tried && !password ? "Enter your password." : ""}>
                  <Input
                    type="password"
                    value={password}
                    onChange={({ detail }) => setPassword(detail.value)}
                    autoComplete="current-password"
                    name="password"
                  />
                </FormField>
                <ExpandableSection headerText="Another account">
                  <FormField
                    label={
                      <span>
                        Account ID <i>- optional</i>
                      </span>
                    }
                    description="12 digits. Empty: the account of this installation."
                  >
                    <Input
                      value={accountId}
                      onChange={({ detail }) => setAccountId(detail.value)}
                      inputMode="numeric"
                      name="account"
                    />
                  </FormField>
                </ExpandableSection>
              </SpaceBetween>
            </Form>
          </Container>
        </form>
      </SpaceBetween>
    </main>
  );
}
