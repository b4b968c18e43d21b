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
import { client, MFA_CODE_REQUIRED, PASSWORD_CHANGE_REQUIRED, type Session } from "../api/client";
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

/** Answers that are no failure, but ask for one thing more. */
const ASKS = new Set([MFA_CODE_REQUIRED, PASSWORD_CHANGE_REQUIRED]);

interface NewPasswordProps {
  value: string;
  again: string;
  tried: boolean;
  onChange: (value: string) => void;
  onChangeAgain: (value: string) => void;
}

/** Asked for when the password is right but good for one change only. */
function NewPassword({ value, again, tried, onChange, onChangeAgain }: NewPasswordProps) {
  return (
    <SpaceBetween size="m">
      <FormField label="New password" errorText={tried && !value ? "Enter a new password." : ""}>
        <Input
          type="password"
          value={value}
          onChange={({ detail }) => onChange(detail.value)}
          autoComplete="new-password"
          name="new-password"
          autoFocus
        />
      </FormField>
      <FormField label="New password again" errorText={tried && value !== again ? "The two are not the same." : ""}>
        <Input
          type="password"
          value={again}
          onChange={({ detail }) => onChangeAgain(detail.value)}
          autoComplete="new-password"
          name="new-password-again"
        />
      </FormField>
    </SpaceBetween>
  );
}

/** Asked for when the password is right and the person has an MFA device. */
function MfaCode({ value, tried, onChange }: { value: string; tried: boolean; onChange: (value: string) => void }) {
  return (
    <FormField
      label="MFA code"
      description="Six digits, from your authenticator app."
      errorText={tried && !value ? "Enter the code." : ""}
    >
      <Input
        value={value}
        onChange={({ detail }) => onChange(detail.value)}
        autoComplete="one-time-code"
        inputMode="numeric"
        name="mfa-code"
        autoFocus
        spellcheck={false}
      />
    </FormField>
  );
}

export function SignIn({ face, reason, problem, onSignedIn }: Props) {
  const [accountId, setAccountId] = useState("");
  const [userName, setUserName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState(problem ?? "");
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [changing, setChanging] = useState(false);
  const [newPassword, setNewPassword] = useState("");
  const [asked, setAsked] = useState(false);
  const [withCode, setWithCode] = useState(false);
  const [mfaCode, setMfaCode] = useState("");
  const [newAgain, setNewAgain] = useState("");
  useEffect(() => {
    document.title = "Sign in – EMR Studio";
  }, []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (!userName || !password || busy) return;
    if (changing && (!newPassword || newPassword !== newAgain)) return;
    if (withCode && !mfaCode.trim()) return;
    setBusy(true);
    setError("");
    try {
      const account = accountId.trim();
      const change = { ...(changing ? { newPassword } : {}), ...(withCode ? { mfaCode: mfaCode.trim() } : {}) };
      onSignedIn(await client.signIn({ userName, password, ...(account ? { accountId: account } : {}), ...change }));
    } catch (failure) {
      const answer = asAwsError(failure);
      setAsked(ASKS.has(answer.code));
      if (answer.code === PASSWORD_CHANGE_REQUIRED) setChanging(true);
      if (answer.code === MFA_CODE_REQUIRED) setWithCode(true);
      // A code is good once: the next attempt needs the next one.
      setMfaCode("");
      setTried(false);
      setError(answer.detail);
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
                    <Alert type={asked ? "info" : "error"}>{error}</Alert>
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
                {withCode ? <MfaCode value={mfaCode} tried={tried} onChange={setMfaCode} /> : null}
                {changing ? (
                  <NewPassword
                    value={newPassword}
                    again={newAgain}
                    tried={tried}
                    onChange={setNewPassword}
                    onChangeAgain={setNewAgain}
                  />
                ) : null}
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
