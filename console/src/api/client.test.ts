import { describe, expect, it, vi } from "vitest";
import { AwsError, Client, errorOf, isSignedOut, MFA_CODE_REQUIRED, type Session } from "./client";

const SESSION: Session = {
  userName: "analyst",
  accountId: "123456789012",
  arn: "arn:aws:iam::123456789012:user/analyst",
  csrfToken: "first",
  region: "us-east-1",
};

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });
const NOBODY = () => json({ message: "Nobody is signed in here." }, 401);
const MISSING = () => json({ __type: "MissingAuthenticationTokenException", message: "Missing Authentication Token" }, 400);
const BAD_CSRF = () =>
  json({ __type: "AccessDeniedException", Message: "The request does not carry this session's X-Csrf-Token." }, 400);

/** A server that gives these answers, one for each request, and keeps what was sent. */
function serverOf(...answers: (() => Response)[]) {
  const sent: { path: string; init: RequestInit }[] = [];
  const client = new Client((path, init = {}) => {
    sent.push({ path, init });
    const answer = answers.shift();
    if (!answer) throw new Error(`unexpected request ${path}`);
    return Promise.resolve(answer());
  });
  const header = (index: number, name: string) => new Headers(sent[index]?.init.headers).get(name);
  return { client, sent, header };
}

describe("errors", () => {
  it.each([
    [{ __type: "InvalidRequestException", Message: "Studio does not exist." }, "InvalidRequestException"],
    [{ __type: "com.amazonaws.emr#InvalidRequestException", message: "Studio does not exist." }, "InvalidRequestException"],
  ])("have AWS's code and message, however they are spelled", async (body, code) => {
    const error = await errorOf(json(body, 400));
    expect([error.code, error.detail, error.status]).toEqual([code, "Studio does not exist.", 400]);
  });

  it("take the code of the header where the body has none", async () => {
    const headers = { "x-amzn-errortype": "ThrottlingException:http://internal/" };
    expect((await errorOf(new Response("", { status: 400, headers }))).code).toBe("ThrottlingException");
  });

  it("are plain words when the answer is not AWS's", async () => {
    const error = await errorOf(new Response("<html>bad gateway</html>", { status: 502 }));
    expect(error.code).toBe("HTTP 502");
    expect(error.detail).toContain("could not answer");
  });

  it("know which ones ask to sign in", () => {
    expect(isSignedOut(new AwsError("ExpiredTokenException", "", 400))).toBe(true);
    expect(isSignedOut(new AwsError("HTTP 401", "", 401))).toBe(true);
    expect(isSignedOut(new AwsError("AccessDeniedException", "", 400))).toBe(false);
  });

  it("say that nothing answered", async () => {
    const client = new Client(() => Promise.reject(new TypeError("Failed to fetch")));
    await expect(client.call("ElasticMapReduce.ListStudios", {})).rejects.toMatchObject({ code: "NetworkFailure", status: 0 });
  });
});

describe("an operation", () => {
  it("is AWS JSON 1.1 at the own origin with the session's CSRF token", async () => {
    const { client, sent, header } = serverOf(() => json(SESSION), () => json({ Studios: [] }));
    await client.signIn({ userName: "analyst", password: "secret" });
    expect(await client.call("ElasticMapReduce.ListStudios", { Marker: "m" })).toEqual({ Studios: [] });
    expect(sent[1]?.path).toBe("/");
    expect(sent[1]?.init).toMatchObject({ method: "POST", credentials: "same-origin", body: '{"Marker":"m"}' });
    expect(header(1, "X-Amz-Target")).toBe("ElasticMapReduce.ListStudios");
    expect(header(1, "Content-Type")).toBe("application/x-amz-json-1.1");
    expect(header(1, "X-Csrf-Token")).toBe("first");
  });

  it("may answer with no body", async () => {
    const { client } = serverOf(() => new Response(""));
    expect(await client.call("ElasticMapReduce.DeleteStudio", {})).toEqual({});
  });

  it("that is denied keeps the session", async () => {
    const denied = () => json({ __type: "AccessDeniedException", Message: "User is not authorized" }, 400);
    const { client, sent } = serverOf(() => json(SESSION), denied);
    const lost = vi.fn();
    client.onSessionLost(lost);
    await client.resume();
    await expect(client.call("ElasticMapReduce.DeleteStudio", {})).rejects.toMatchObject({ code: "AccessDeniedException" });
    expect(lost).not.toHaveBeenCalled();
    expect(sent).toHaveLength(2);
  });
});

describe("the session", () => {
  it("tells the app once it has ended", async () => {
    const { client } = serverOf(() => json(SESSION), MISSING, NOBODY);
    const lost = vi.fn();
    client.onSessionLost(lost);
    await client.resume();
    await expect(client.call("ElasticMapReduce.ListEditors", {})).rejects.toBeInstanceOf(AwsError);
    expect(lost).toHaveBeenCalledOnce();
    expect(client.session).toBeUndefined();
  });

  it("made anew in another tab is taken over, and the operation asked again", async () => {
    const fresh = () => json({ ...SESSION, csrfToken: "second" });
    const { client, header } = serverOf(() => json(SESSION), BAD_CSRF, fresh, () => json({ Editors: [] }));
    await client.resume();
    expect(await client.call("ElasticMapReduce.ListEditors", {})).toEqual({ Editors: [] });
    expect(header(3, "X-Csrf-Token")).toBe("second");
  });

  it("with the same token is not asked again and again", async () => {
    const { client, sent } = serverOf(() => json(SESSION), BAD_CSRF, () => json(SESSION));
    await client.resume();
    await expect(client.call("ElasticMapReduce.ListEditors", {})).rejects.toBeInstanceOf(AwsError);
    expect(sent).toHaveLength(3);
  });

  it("is nobody's before signing in, and a wrong password says so", async () => {
    const { client } = serverOf(NOBODY, () => json({ message: "Your authentication information is incorrect." }, 401));
    expect(await client.resume()).toBeUndefined();
    await expect(client.signIn({ userName: "a", password: "b" })).rejects.toMatchObject({
      detail: "Your authentication information is incorrect.",
    });
  });

  it("is nobody's until the code of an MFA device was shown", async () => {
    const ask = () => json({ code: "MfaCodeRequired", message: "Enter the code that your MFA device shows." }, 403);
    const { client, sent } = serverOf(ask, () => json(SESSION));
    await expect(client.signIn({ userName: "a", password: "b" })).rejects.toMatchObject({ code: MFA_CODE_REQUIRED });
    expect(client.session).toBeUndefined();
    await client.signIn({ userName: "a", password: "b", mfaCode: "123456" });
    expect(JSON.parse(String(sent[1]?.init.body))).toMatchObject({ mfaCode: "123456" });
    expect(client.session).toEqual(SESSION);
  });

  it("ends by signing out, and it is fine if it had ended already", async () => {
    const { client, sent, header } = serverOf(() => json(SESSION), NOBODY);
    await client.resume();
    await client.signOut();
    expect(sent[1]?.init.method).toBe("DELETE");
    expect(header(1, "X-Csrf-Token")).toBe("first");
    expect(client.session).toBeUndefined();
  });
});
