/** Denials: what AWS's sentence says, and what STS's decoded message says to those who may ask. */
import { client, textOf, type AwsError, type Client } from "./client";

/** The parts of a denial's sentence. */
export interface Denial {
  principal: string;
  action: string;
  resource: string;
  /** "because no identity-based policy allows …", "with an explicit deny in …"; empty across accounts. */
  reason: string;
}

/** A statement that denied, or one that almost allowed. */
export interface Deciding {
  policy: string;
  kind: string;
  statement: unknown;
  sid: string;
  /** Of one that almost allowed: why it did not. */
  missed: string;
}

/** Why something was denied. */
export interface Reasons {
  explicit: boolean;
  deciding: Deciding[];
  almost: Deciding[];
}

const SENTENCE = /^User: (\S+) is not authorized to perform: (\S+) on resource: (\S+)(?: ((?:because|with) .*))?$/s;
const MISSED: Record<string, string> = {
  resource: "It does not name this resource.",
  condition: "Its conditions do not hold.",
  principal: "It does not name this user.",
};

/** What the sentence of an error says, if the error is a denial by policy. */
export function denialOf(error: AwsError): Denial | undefined {
  if (error.code !== "AccessDenied" && error.code !== "AccessDeniedException") return undefined;
  const found = SENTENCE.exec(error.detail);
  if (!found) return undefined;
  const [, principal = "", action = "", resource = "", reason = ""] = found;
  return { principal, action, resource, reason };
}

interface Item {
  sourcePolicyId: string;
  sourcePolicyType: string;
  statementId: string;
  statement: unknown;
  reason?: string;
}
interface Decoded {
  explicitDeny: boolean;
  matchedStatements: { items: Item[] };
  failures: { items: Item[] };
}

/** Open a sealed message; an `AwsError` if it is not for this user to see. */
export async function reasonsOf(sealed: string, by: Client = client): Promise<Reasons> {
  const xml = await by.query("DecodeAuthorizationMessage", "2011-06-15", { EncodedMessage: sealed });
  const decoded = JSON.parse(textOf(xml, "DecodedMessage") ?? "{}") as Decoded;
  return {
    explicit: decoded.explicitDeny,
    deciding: decoded.matchedStatements.items.map(deciding),
    almost: decoded.failures.items.map(deciding),
  };
}

function deciding(item: Item): Deciding {
  return {
    policy: policyName(item.sourcePolicyId),
    kind: item.sourcePolicyType,
    statement: item.statement,
    sid: item.statementId,
    missed: MISSED[item.reason ?? ""] ?? "",
  };
}

/** `arn:…:policy/path/name` is `name`; `arn:…:user/ana#own` is `own (user/ana)`. */
export function policyName(id: string): string {
  const [owner = "", inline] = id.split("#");
  const resource = owner.split(":").slice(5).join(":");
  if (inline !== undefined) return `${inline} (${resource})`;
  return resource.startsWith("policy/") ? (resource.split("/").pop() ?? id) : id;
}
