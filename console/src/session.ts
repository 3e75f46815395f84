/**
 * The token: taken from the address (`#token=…`), or had for the code of a link that works once (`#code=…`). The address is cleaned
 * at once, and the token kept for this tab only.
 */

const KEY = "eyrie.token";
const SIGN_IN_PATH = "/v1/sign-in";
const SIGN_IN_MS = 15_000;

export interface Route {
  readonly camera: string | null;
}

/** What the address brought, which it says no longer. */
export interface Arrival {
  readonly token: string | null;
  readonly code: string | null;
}

/** Moves a token or code out of the address bar and the tab's history; null when there was none. */
export function takeFromAddress(): Arrival | null {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = hash.get("token");
  const code = hash.get("code");
  if (token === null && code === null) return null;
  hash.delete("token");
  hash.delete("code");
  const rest = hash.toString();
  history.replaceState(null, "", `${location.pathname}${location.search}${rest === "" ? "" : `#${rest}`}`);
  return { token, code };
}

/** The token for a code. Throws an Error whose message says why there is none. */
export async function exchange(code: string): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(SIGN_IN_PATH, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(SIGN_IN_MS),
    });
  } catch {
    throw new Error("Eyrie could not be reached to sign in. Make another link.");
  }
  const body: unknown = await answer.json().catch(() => null);
  const said = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  if (answer.ok && typeof said["token"] === "string") return said["token"];
  const reason = typeof said["detail"] === "string" ? said["detail"] : `the answer was ${answer.status}`;
  throw new Error(`Eyrie did not take this link: ${reason}. Make another one.`);
}

export function keepToken(token: string): void {
  sessionStorage.setItem(KEY, token.trim());
}

export function storedToken(): string | null {
  return sessionStorage.getItem(KEY);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

export function route(): Route {
  return { camera: new URLSearchParams(location.hash.slice(1)).get("camera") };
}

export function hrefOf(camera: string | null): string {
  return camera === null ? "#" : `#camera=${encodeURIComponent(camera)}`;
}
