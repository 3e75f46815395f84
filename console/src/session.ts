/** The token: taken from the address (`#token=…`), which is then cleaned, and kept for this tab only. */

const KEY = "eyrie.token";

export interface Route {
  readonly camera: string | null;
}

/** Moves a token from the address bar into the tab's storage; true when there was one. */
export function takeTokenFromAddress(): boolean {
  const hash = new URLSearchParams(location.hash.slice(1));
  const token = hash.get("token");
  if (token === null) return false;
  hash.delete("token");
  const rest = hash.toString();
  history.replaceState(null, "", `${location.pathname}${location.search}${rest === "" ? "" : `#${rest}`}`);
  keepToken(token);
  return true;
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
