/**
 * The one way to the operations: AWS JSON 1.1 to the page's own origin, with the session's cookie and
 * its CSRF token. The same operations as the CLI and the SDKs call.
 */

/** An answer that is an error: AWS's code and message, and the HTTP status (0: no answer at all). */
export class AwsError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly status: number,
    /** Of a denial: the sealed message that says why, for those who may open it. */
    readonly sealed?: string,
  ) {
    super(`${code}: ${detail}`);
    this.name = "AwsError";
  }
}

/** Who is signed in, as `/_signin` answers. */
export interface Session {
  userName: string;
  accountId: string;
  arn: string;
  csrfToken: string;
  region: string;
}

export interface Credentials {
  accountId?: string;
  userName: string;
  password: string;
  /** Where the password must be changed first. */
  newPassword?: string;
  /** Of users with an MFA device. */
  mfaCode?: string;
}

/** The code of a sign-in with a right password that must be changed. */
export const PASSWORD_CHANGE_REQUIRED = "PasswordChangeRequired";

/** The code of a sign-in with a right password of somebody who has an MFA device. */
export const MFA_CODE_REQUIRED = "MfaCodeRequired";

/** Codes that say "who are you?", whatever the status: AWS's JSON protocols answer some of them with 400. */
const SIGNED_OUT_CODES = new Set([
  "ExpiredToken",
  "ExpiredTokenException",
  "IncompleteSignatureException",
  "InvalidClientTokenId",
  "MissingAuthenticationToken",
  "MissingAuthenticationTokenException",
  "UnrecognizedClientException",
]);

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** Turn an error answer into an `AwsError`; anything may stand in its body. */
export async function errorOf(response: Response): Promise<AwsError> {
  const text = await response.text().catch(() => "");
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) body = parsed as Record<string, unknown>;
  } catch {
    // Not JSON: the query protocol's XML, a proxy's page, or nothing.
    body = { code: textOf(text, "Code"), message: textOf(text, "Message") };
  }
  const type = body["__type"] ?? body["code"] ?? response.headers.get("x-amzn-errortype");
  // `__type` may be a shape's full name ("com.amazon#Code"), the header may end in ":http://…".
  const code = typeof type === "string" && type ? (type.split("#").pop() ?? type).split(":")[0] : undefined;
  const message = body["message"] ?? body["Message"] ?? body["detail"];
  return new AwsError(
    code ?? `HTTP ${response.status}`,
    typeof message === "string" && message ? message : fallback(response.status),
    response.status,
    response.headers.get(SEALED_HEADER) ?? undefined,
  );
}

const SEALED_HEADER = "x-emr-studio-authorization-message";
const ENTITIES: Record<string, string> = { amp: "&", apos: "'", gt: ">", lt: "<", quot: '"' };

/** The text of the first element of that name in an XML answer, which has no attributes there. */
export function textOf(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  const end = xml.indexOf(`</${name}>`, start);
  if (start < 0 || end < 0) return undefined;
  return xml
    .slice(start + name.length + 2, end)
    .replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, named?: string) => {
      if (hex) return String.fromCodePoint(parseInt(hex, 16));
      if (decimal) return String.fromCodePoint(Number(decimal));
      return ENTITIES[(named ?? "").toLowerCase()] ?? whole;
    });
}

function fallback(status: number): string {
  return status >= 500 ? "The service could not answer. Try again in a moment." : "The request was refused.";
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof AwsError && (error.status === 401 || SIGNED_OUT_CODES.has(error.code));
}

function asJson<T>(text: string): T {
  return (text ? JSON.parse(text) : {}) as T;
}

export class Client {
  session: Session | undefined;
  private readonly lostListeners = new Set<() => void>();

  constructor(private readonly send: Fetch = (input, init) => fetch(input, init)) {}

  /** Call `listener` when an operation finds the session ended; returns how to stop that. */
  onSessionLost(listener: () => void): () => void {
    this.lostListeners.add(listener);
    return () => this.lostListeners.delete(listener);
  }

  /** The session that the cookie stands for, if it still does. */
  async resume(): Promise<Session | undefined> {
    const response = await this.request("/_signin", { headers: { Accept: "application/json" } });
    if (response.status === 401 || response.status === 404) {
      this.session = undefined;
      return undefined;
    }
    if (!response.ok) throw await errorOf(response);
    this.session = (await response.json()) as Session;
    return this.session;
  }

  async signIn(credentials: Credentials): Promise<Session> {
    const response = await this.request("/_signin", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(credentials),
    });
    if (!response.ok) throw await errorOf(response);
    this.session = (await response.json()) as Session;
    return this.session;
  }

  async signOut(): Promise<void> {
    const headers: Record<string, string> = this.session ? { "X-Csrf-Token": this.session.csrfToken } : {};
    this.session = undefined;
    const response = await this.request("/_signin", { method: "DELETE", headers });
    if (!response.ok && response.status !== 401) throw await errorOf(response);
  }

  /** Read JSON from a page route of our own (`/_console/…`). */
  async read<T>(path: string): Promise<T> {
    return asJson<T>(
      await this.withSession(() =>
        this.request(path, {
          headers: { Accept: "application/json", "X-Csrf-Token": this.session?.csrfToken ?? "" },
        }),
      ),
    );
  }

  /** Call an operation of the query protocol (STS); the answer is XML. */
  async query(action: string, version: string, parameters: Record<string, string>): Promise<string> {
    return this.withSession(() =>
      this.request("/", {
        method: "POST",
        headers: {
          "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
          "X-Csrf-Token": this.session?.csrfToken ?? "",
        },
        body: new URLSearchParams({ Action: action, Version: version, ...parameters }).toString(),
      }),
    );
  }

  /** Call an operation, for example `ElasticMapReduce.ListStudios`. */
  async call<T>(target: string, input: object, signal?: AbortSignal): Promise<T> {
    return asJson<T>(
      await this.withSession(() =>
        this.request("/", {
          method: "POST",
          headers: {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": target,
            "X-Csrf-Token": this.session?.csrfToken ?? "",
          },
          body: JSON.stringify(input),
          ...(signal ? { signal } : {}),
        }),
      ),
    );
  }

  private async withSession(ask: () => Promise<Response>): Promise<string> {
    let response = await ask();
    if (!response.ok) {
      const error = await errorOf(response);
      const mayBeStale = isSignedOut(error) || response.status === 403 || error.code === "AccessDeniedException";
      const token = this.session?.csrfToken;
      if (!mayBeStale) throw error;
      // Another tab may have signed in again since: then the cookie is good and only our token is old.
      if (!isSignedOut(error) && !/csrf/i.test(error.message)) throw error;
      if (!(await this.resume())) {
        this.lostListeners.forEach((listener) => listener());
        throw error;
      }
      if (this.session?.csrfToken === token) throw error;
      response = await ask();
      if (!response.ok) throw await errorOf(response);
    }
    return response.text();
  }

  private async request(path: string, init: RequestInit): Promise<Response> {
    try {
      return await this.send(path, { credentials: "same-origin", cache: "no-store", ...init });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new AwsError("NetworkFailure", "The service did not answer. Is it running?", 0);
    }
  }
}

export const client = new Client();
