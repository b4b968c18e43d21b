import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import type { AwsError } from "../api/client";
import { Failure } from "./Failure";

interface Props {
  what: string;
  error: AwsError;
  retry?: () => Promise<void>;
}

/** Something could not be shown: AWS's code and message, and a way to try again. */
export function ErrorBox({ what, error, retry }: Props) {
  return (
    <Alert type="error" header={what} action={retry ? <Button onClick={() => void retry()}>Retry</Button> : null}>
      <Failure error={error} />
    </Alert>
  );
}
