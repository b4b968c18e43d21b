/** An error in words. A denial shows what was asked and, on demand, the policy that decided. */
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import type { AwsError } from "../api/client";
import { denialOf, reasonsOf, type Deciding, type Denial, type Reasons } from "../api/denial";
import { asAwsError } from "../state/polled";

export function Failure({ error }: { error: AwsError }) {
  const denial = denialOf(error);
  if (!denial) return <>{`${error.code}: ${error.detail}`}</>;
  return <Denied denial={denial} sealed={error.sealed} />;
}

function Denied({ denial, sealed }: { denial: Denial; sealed: string | undefined }) {
  const [reasons, setReasons] = useState<Reasons | AwsError>();
  const [busy, setBusy] = useState(false);

  async function ask(): Promise<void> {
    setBusy(true);
    setReasons(await reasonsOf(sealed ?? "").catch(asAwsError));
    setBusy(false);
  }

  return (
    <SpaceBetween size="xs">
      <div>You may not do this.</div>
      <dl style={{ display: "grid", gridTemplateColumns: "max-content 1fr", gap: "2px 16px", margin: 0 }}>
        <Row name="Action" value={denial.action} />
        <Row name="Resource" value={denial.resource} />
        {denial.reason ? <Row name="Reason" value={denial.reason} /> : null}
      </dl>
      {reasons ? (
        <Why reasons={reasons} />
      ) : sealed ? (
        // Not the default, "submit": a form that shows this would be sent once more.
        <Button formAction="none" onClick={() => void ask()} loading={busy} ariaLabel={`Why is ${denial.action} denied?`}>
          Why?
        </Button>
      ) : null}
    </SpaceBetween>
  );
}

function Row({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>
        <Box variant="awsui-key-label">{name}</Box>
      </dt>
      <dd style={{ margin: 0, overflowWrap: "anywhere" }}>{value}</dd>
    </>
  );
}

export function Why({ reasons }: { reasons: Reasons | AwsError }) {
  if (reasons instanceof Error) {
    const own = denialOf(reasons);
    return (
      <div role="status">
        {own
          ? `Which policy it was is not yours to see: it takes ${own.action}. Ask an administrator.`
          : `Why could not be found out. ${reasons.code}: ${reasons.detail}`}
      </div>
    );
  }
  const shown = reasons.explicit ? reasons.deciding : reasons.almost;
  return (
    <div role="status">
      <SpaceBetween size="xs">
        <div>{headline(reasons)}</div>
        {shown.map((one, index) => (
          <Statement key={index} one={one} />
        ))}
      </SpaceBetween>
    </div>
  );
}

/** What the statements below it are. */
function headline(reasons: Reasons): string {
  if (reasons.explicit) return "This is denied by:";
  return reasons.almost.length ? "Nothing allows it. These come close:" : "No policy has a statement that allows it.";
}

function Statement({ one }: { one: Deciding }) {
  return (
    <div>
      <Box variant="strong">{`${one.policy}${one.sid ? `, statement ${one.sid}` : ""} (${one.kind})`}</Box>
      {one.missed ? <Box>{one.missed}</Box> : null}
      <Box variant="pre">{JSON.stringify(one.statement, null, 2)}</Box>
    </div>
  );
}
