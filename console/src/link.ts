import { Centrifuge, SubscriptionState, type Subscription, UnauthorizedError } from "centrifuge";

import {
  type CameraEvent,
  type Scene,
  type State,
  type Summary,
  type Wall,
  readEvent,
  readName,
  readNames,
  readScene,
  readState,
  readSummary,
  readWall,
} from "./model";
import { NoSession } from "./people";

export type Connection =
  | { readonly state: "connecting"; readonly reason: string }
  | { readonly state: "connected" }
  | { readonly state: "closed"; readonly reason: string; readonly needsToken: boolean };

/** Why something is not shown; `denied`: it is not there, or not this token's to see, and waiting does not help. */
export interface Refusal {
  readonly reason: string;
  readonly denied: boolean;
}

const READ_MS = 15_000; // that a read by REST may take
const DENIED_CODES = new Set([102, 103]); // unknown channel, permission denied
const HISTORY = 50; // events shown from before a camera was opened
// Codes after which only another token helps: of its end (1 is the client's own word for a token it cannot renew), Centrifuge's for tokens
// and permissions, and ours (4501 revoked).
const TOKEN_CODES = new Set([1, 101, 109, 110, 3500, 3507, 4501]);
const OVER = "its time is over, or it is not a valid one";
const NO_ROLE = "none of its roles may look at cameras, as a viewer may";
const REASONS: Readonly<Record<number, string>> = { 1: OVER, 109: OVER, 110: OVER, 3507: NO_ROLE };

/** One connection to the hub, by the stock Centrifuge client. */
export class Link {
  private readonly client: Centrifuge;

  constructor(
    private token: string,
    onConnection: (connection: Connection) => void,
    renew?: () => Promise<string>,
  ) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.client = new Centrifuge(`${scheme}://${location.host}/connection/websocket`, {
      token,
      name: "console",
      maxReconnectDelay: 5000,
      ...(renew === undefined ? {} : { getToken: () => this.renewed(renew) }),
    });
    this.client.on("connecting", (ctx) => onConnection({ state: "connecting", reason: ctx.code === 0 ? "" : ctx.reason }));
    this.client.on("connected", () => onConnection({ state: "connected" }));
    this.client.on("disconnected", (ctx) => {
      if (ctx.code !== 0) {
        const reason = REASONS[ctx.code] ?? ctx.reason;
        onConnection({ state: "closed", reason, needsToken: TOKEN_CODES.has(ctx.code) });
      }
    });
    this.client.on("error", (ctx) => {
      if (this.client.state === "connecting") onConnection({ state: "connecting", reason: ctx.error.message });
    });
  }

  open(): void {
    this.client.connect();
  }

  close(): void {
    this.client.disconnect();
  }

  /** The next ticket of a session. Where there is no session any more, the client is told to stop. */
  private async renewed(renew: () => Promise<string>): Promise<string> {
    try {
      this.token = await renew();
    } catch (error) {
      throw error instanceof NoSession ? new UnauthorizedError(error.message) : error;
    }
    return this.token;
  }

  /** What a list of REST answers, up to `limit` of it. Throws an Error that says why there is none. */
  async read(path: string, limit: number): Promise<unknown> {
    const answer = await fetch(`${path}?limit=${limit}`, {
      headers: { authorization: `Bearer ${this.token}` },
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(READ_MS),
    });
    if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
    return answer.json();
  }

  /** A wall: of the fleet or a site. `again` begins it anew: its beginning tells the names of cameras. */
  watchWall(
    channel: string,
    to: { names(names: Map<string, string>): void; wall(wall: Wall): void; refused(refusal: Refusal): void },
  ): { stop: () => void; again: () => void } {
    const subscription = this.client.newSubscription(channel);
    subscription.on("subscribed", (ctx) => to.names(readNames(ctx.data)));
    subscription.on("publication", (ctx) => to.wall(readWall(ctx.data)));
    const stop = this.start(subscription, to.refused);
    const again = (): void => {
      subscription.unsubscribe();
      subscription.subscribe();
    };
    return { stop, again };
  }

  /** A camera as a tile shows it, for who may see no wall that has it. */
  watchSummary(camera: string, to: { summary(summary: Summary): void; refused(refusal: Refusal): void }): () => void {
    const subscription = this.client.newSubscription(`camera:${camera}`, { data: { max_hz: 1, projection: "summary" } });
    subscription.on("publication", (ctx) => {
      const summary = readSummary(ctx.data);
      if (summary !== null) to.summary(summary);
    });
    return this.start(subscription, to.refused);
  }

  watchCamera(camera: string, to: { scene(scene: Scene, name: string): void; state(state: State): void; refused(refusal: Refusal): void }): () => void {
    const subscription = this.client.newSubscription(`camera:${camera}`);
    subscription.on("subscribed", (ctx) => to.scene(readScene(ctx.data), readName(ctx.data)));
    subscription.on("publication", (ctx) => {
      const state = readState(ctx.data);
      if (state !== null) to.state(state);
    });
    return this.start(subscription, to.refused);
  }

  /** Events as they come; `older` holds those from before, newest first, again after every loss that could not be recovered. */
  watchEvents(
    camera: string,
    to: { event(event: CameraEvent): void; older(events: CameraEvent[]): void; noOlder(refusal: Refusal): void; refused(refusal: Refusal): void },
  ): () => void {
    const subscription = this.client.newSubscription(`events:camera:${camera}`);
    subscription.on("publication", (ctx) => {
      const event = readEvent(ctx.data);
      if (event !== null) to.event(event);
    });
    subscription.on("subscribed", (ctx) => {
      if (ctx.wasRecovering && ctx.recovered) return;
      subscription.history({ limit: HISTORY, reverse: true }).then(
        (result) => to.older(result.publications.map((publication) => readEvent(publication.data)).filter((event) => event !== null)),
        (error: unknown) => to.noOlder(refusalOf(error)),
      );
    });
    return this.start(subscription, to.refused);
  }

  private start(subscription: Subscription, onRefused: (refusal: Refusal) => void): () => void {
    subscription.on("error", (ctx) => onRefused(refusalOf(ctx.error)));
    subscription.on("unsubscribed", (ctx) => {
      if (ctx.code !== 0) onRefused({ reason: ctx.reason, denied: DENIED_CODES.has(ctx.code) });
    });
    subscription.subscribe();
    return () => {
      if (subscription.state !== SubscriptionState.Unsubscribed) subscription.unsubscribe();
      subscription.removeAllListeners();
      this.client.removeSubscription(subscription);
    };
  }
}

function refusalOf(error: unknown): Refusal {
  if (typeof error !== "object" || error === null || !("message" in error)) return { reason: "not available", denied: false };
  return { reason: String(error.message), denied: "code" in error && DENIED_CODES.has(Number(error.code)) };
}
