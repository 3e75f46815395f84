/**
 * Sessions of people. The session is in a cookie that no script sees; what is shown to the hub is a ticket of some minutes, had for it again and
 * again and kept nowhere.
 */

const PATH = "/v1/session";
const HINT = "eyrie.session"; // that this browser may have a session: nobody is asked in vain
const ASK_MS = 15_000;

export interface Ticket {
  readonly ticket: string;
  readonly user: string;
}

/** There is no session, or no longer. */
export class NoSession extends Error {}

/** A new session. Throws NoSession for a wrong name or password, else an Error that says why there is none. */
export async function openSession(user: string, password: string): Promise<Ticket> {
  const opened = await ask("POST", PATH, JSON.stringify({ user, password }));
  localStorage.setItem(HINT, "1");
  return opened;
}

/** A ticket for the session of this browser. Throws NoSession, else an Error: then it may be there later. */
export async function nextTicket(): Promise<Ticket> {
  try {
    return await ask("POST", `${PATH}/ticket`);
  } catch (error) {
    if (error instanceof NoSession) localStorage.removeItem(HINT);
    throw error;
  }
}

/** Ends the session on every hub. Throws an Error when the hub did not say so. */
export async function closeSession(): Promise<void> {
  const answer = await send("DELETE", PATH);
  if (!answer.ok && answer.status !== 401) throw new Error(`the answer was ${answer.status}`);
  localStorage.removeItem(HINT);
}

export function mayHaveSession(): boolean {
  return localStorage.getItem(HINT) !== null;
}

async function ask(method: string, path: string, body?: string): Promise<Ticket> {
  const answer = await send(method, path, body);
  const read: unknown = await answer.json().catch(() => null);
  const said = typeof read === "object" && read !== null ? (read as Record<string, unknown>) : {};
  if (answer.ok && typeof said["ticket"] === "string") return { ticket: said["ticket"], user: String(said["user"] ?? "") };
  const reason = typeof said["detail"] === "string" ? said["detail"] : `the answer was ${answer.status}`;
  if (answer.status === 401) throw new NoSession(reason);
  throw new Error(reason);
}

async function send(method: string, path: string, body?: string): Promise<Response> {
  const asked: RequestInit = { method, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(ASK_MS) };
  if (body !== undefined) {
    asked.headers = { "content-type": "application/json" };
    asked.body = body;
  }
  try {
    return await fetch(path, asked);
  } catch {
    throw new Error("Eyrie could not be reached");
  }
}
