import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState, type ReactNode } from "react";
import type { AwsError } from "../api/client";
import { asAwsError } from "../state/polled";
import { Failure } from "./Failure";

interface Props {
  title: string;
  /** What the confirming button says. */
  action: string;
  children: ReactNode;
  /** Does it; closes when done, shows the error when it fails. */
  run: () => Promise<void>;
  onClose: () => void;
  disabled?: boolean;
}

/** Ask, do, and say what went wrong: a modal with one action. */
export function Confirm({ title, action, children, run, onClose, disabled }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<AwsError>();

  async function confirm(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await run();
      onClose();
    } catch (failure) {
      setError(asAwsError(failure));
      setBusy(false);
    }
  }

  return (
    <Modal
      visible
      header={title}
      closeAriaLabel="Close"
      onDismiss={onClose}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
              Cancel
            </Button>
            <Button variant="primary" loading={busy} disabled={disabled ?? false} onClick={() => void confirm()}>
              {action}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {children}
        {error ? (
          <Alert type="error">
            <Failure error={error} />
          </Alert>
        ) : null}
      </SpaceBetween>
    </Modal>
  );
}
