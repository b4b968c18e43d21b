import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { AwsError } from "../api/client";
import type { Reasons } from "../api/denial";
import { Failure, Why } from "./Failure";

const DENIED =
  "User: arn:aws:iam::123456789012:user/ana is not authorized to perform: elasticmapreduce:RunJobFlow on resource: * " +
  "because no identity-based policy allows the elasticmapreduce:RunJobFlow action";
const shown = (error: AwsError) => renderToStaticMarkup(<Failure error={error} />);
const why = (reasons: Reasons | AwsError) => renderToStaticMarkup(<Why reasons={reasons} />);

describe("an error in words", () => {
  it("is AWS's code and message", () => {
    expect(shown(new AwsError("InvalidRequestException", "Studio does not exist.", 400))).toBe(
      "InvalidRequestException: Studio does not exist.",
    );
  });

  it("of a denial shows action, resource and reason, and asks why", () => {
    const html = shown(new AwsError("AccessDeniedException", DENIED, 400, "sealed"));
    for (const text of ["elasticmapreduce:RunJobFlow", ">*<", "because no identity-based policy allows", "Why?"]) {
      expect(html).toContain(text);
    }
  });

  it("asks nothing where no message came with it", () => {
    expect(shown(new AwsError("AccessDeniedException", DENIED, 400))).not.toContain("Why?");
  });
});

describe("the reasons", () => {
  const statement = { Sid: "Never", Effect: "Deny" };
  const one = { policy: "NoClusters", kind: "identity", sid: "Never", missed: "", statement };

  it("name the policy and the statement", () => {
    const html = why({ explicit: true, deciding: [one], almost: [] });
    expect(html).toContain("This is denied by:");
    expect(html).toContain("NoClusters, statement Never (identity)");
    expect(html).toContain("&quot;Effect&quot;: &quot;Deny&quot;");
  });

  it("name what came close, or that nothing did", () => {
    const close = { ...one, missed: "Its conditions do not hold." };
    expect(why({ explicit: false, deciding: [], almost: [close] })).toContain("Its conditions do not hold.");
    expect(why({ explicit: false, deciding: [], almost: [] })).toContain("No policy has a statement that allows it.");
  });

  it("may be not for this user to see", () => {
    const refused = DENIED.replaceAll("elasticmapreduce:RunJobFlow", "sts:DecodeAuthorizationMessage");
    expect(why(new AwsError("AccessDenied", refused, 403))).toContain("it takes sts:DecodeAuthorizationMessage");
    expect(why(new AwsError("NetworkFailure", "No answer.", 0))).toContain("NetworkFailure: No answer.");
  });
});
