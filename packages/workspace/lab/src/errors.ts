/** What goes wrong, in AWS's words. */

/** An answer that is an error: AWS's code and message, and the HTTP status (0: no answer at all). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly status: number,
  ) {
    super(detail);
    this.name = "ApiError";
  }
}

/** Turn an error answer into an `ApiError`; anything may stand in its body. */
export function errorOf(status: number, text: string): ApiError {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) body = parsed as Record<string, unknown>;
  } catch {
    // A proxy's page, or nothing.
  }
  const type = body["__type"];
  const code = typeof type === "string" ? (type.split("#").pop() ?? type) : `HTTP ${status}`;
  const said = body["message"] ?? body["Message"];
  const message = typeof said === "string" && said ? said : "The studio could not answer. Try again in a moment.";
  return new ApiError(code, message, status);
}

/** What is to be shown of any failure. */
export function messageOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : "Something went wrong. Try again in a moment.";
}
