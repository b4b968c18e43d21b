import { describe, expect, it } from "vitest";
import { AwsError, Client, errorOf, textOf } from "./client";
import { denialOf, policyName, reasonsOf } from "./denial";

const SENTENCE =
  "User: arn:aws:iam::123456789012:user/ana is not authorized to perform: elasticmapreduce:RunJobFlow on resource: *";
const IMPLICIT = `${SENTENCE} because no identity-based policy allows the elasticmapreduce:RunJobFlow action`;
const denied = (detail: string, code = "AccessDeniedException") => new AwsError(code, detail, 400);

const MESSAGE = {
  allowed: false,
  explicitDeny: true,
  matchedStatements: {
    items: [
      {
        sourcePolicyId: "arn:aws:iam::123456789012:policy/team/NoClusters",
        sourcePolicyType: "identity",
        statementId: "Never",
        statement: { Sid: "Never", Effect: "Deny", Action: "elasticmapreduce:RunJobFlow", Resource: "*" },
      },
    ],
  },
  failures: { items: [] },
};

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}

describe("a denial", () => {
  it.each([
    [IMPLICIT, "because no identity-based policy allows the elasticmapreduce:RunJobFlow action"],
    [`${SENTENCE} with an explicit deny in a permissions boundary: arn:x`, "with an explicit deny in a permissions boundary: arn:x"],
    [SENTENCE, ""],
  ])("says who, what, on what and why", (sentence, reason) => {
    expect(denialOf(denied(sentence))).toEqual({
      principal: "arn:aws:iam::123456789012:user/ana",
      action: "elasticmapreduce:RunJobFlow",
      resource: "*",
      reason,
    });
    expect(denialOf(denied(sentence, "AccessDenied"))?.reason).toBe(reason);
  });

  it("is nothing else that is refused", () => {
    expect(denialOf(denied("You are not assigned to this Studio."))).toBeUndefined();
    expect(denialOf(new AwsError("InvalidRequestException", IMPLICIT, 400))).toBeUndefined();
  });

  it("brings its sealed message", async () => {
    const headers = { "x-emr-studio-authorization-message": "sealed" };
    const answer = () => new Response(JSON.stringify({ __type: "AccessDeniedException", Message: IMPLICIT }), { status: 400, headers });
    expect((await errorOf(answer())).sealed).toBe("sealed");
    expect((await errorOf(new Response("", { status: 400 }))).sealed).toBeUndefined();
  });
});

describe("why", () => {
  it("is asked of STS by the query protocol and read from its XML", async () => {
    const sent: RequestInit[] = [];
    const xml = `<DecodeAuthorizationMessageResponse><DecodeAuthorizationMessageResult><DecodedMessage>${escaped(JSON.stringify(MESSAGE))}</DecodedMessage></DecodeAuthorizationMessageResult></DecodeAuthorizationMessageResponse>`;
    const client = new Client((_path, init = {}) => {
      sent.push(init);
      return Promise.resolve(new Response(xml));
    });
    const reasons = await reasonsOf("sea+led", client);
    expect(sent[0]?.body).toBe("Action=DecodeAuthorizationMessage&Version=2011-06-15&EncodedMessage=sea%2Bled");
    expect(new Headers(sent[0]?.headers).get("Content-Type")).toContain("x-www-form-urlencoded");
    expect(reasons.explicit).toBe(true);
    expect(reasons.deciding).toEqual([
      { policy: "NoClusters", kind: "identity", sid: "Never", missed: "", statement: MESSAGE.matchedStatements.items[0]?.statement },
    ]);
  });

  it("may be not for this user to see", async () => {
    const sentence = SENTENCE.replace("elasticmapreduce:RunJobFlow", "sts:DecodeAuthorizationMessage");
    const xml = `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${sentence}</Message></Error></ErrorResponse>`;
    const client = new Client(() => Promise.resolve(new Response(xml, { status: 403 })));
    const error = await reasonsOf("sealed", client).catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(AwsError);
    expect(denialOf(error as AwsError)?.action).toBe("sts:DecodeAuthorizationMessage");
  });

  it("names policies as people do", () => {
    expect(policyName("arn:aws:iam::aws:policy/ReadOnlyAccess")).toBe("ReadOnlyAccess");
    expect(policyName("arn:aws:iam::123456789012:user/ana#own")).toBe("own (user/ana)");
    expect(policyName("session-policy[0]")).toBe("session-policy[0]");
  });

  it("reads any escape of XML", () => {
    expect(textOf("<M>a &lt;b&gt; &#38; &#x26; &quot;c&quot; &unknown;</M>", "M")).toBe('a <b> & & "c" &unknown;');
    expect(textOf("<html>", "M")).toBeUndefined();
  });
});
