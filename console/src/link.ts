import { Centrifuge, SubscriptionState, type Subscription } from "centrifuge";

import { type CameraEvent, type Scene, type State, type Wall, readEvent, readName, readNames, readScene, readState, readWall } from "./model";

export type Connection =
  | { readonly state: "connecting"; readonly reason: string }
  | { readonly state: "connected" }
  | { readonly state: "closed"; readonly reason: string; readonly needsToken: boolean };

const HISTORY = 50; // events shown from before a camera was opened
// Codes after which only another token helps. The first two tell of its end (1: the client's own word for a token it cannot renew),
// the others are Centrifuge's for tokens and permissions, and ours (4501 revoked).
const OVER_CODES = new Set([1, 109, 110]);
const TOKEN_CODES = new Set([101, 3500, 3507, 4501]);

/** One connection to the hub, by the stock Centrifuge client. */
export class Link {
  private readonly client: Centrifuge;

  constructor(token: string, onConnection: (connection: Connection) => void) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.client = new Centrifuge(`${scheme}://${location.host}/connection/websocket`, { token, name: "console", maxReconnectDelay: 5000 });
    this.client.on("connecting", (ctx) => onConnection({ state: "connecting", reason: ctx.code === 0 ? "" : ctx.reason }));
    this.client.on("connected", () => onConnection({ state: "connected" }));
    this.client.on("disconnected", (ctx) => {
      if (ctx.code !== 0) {
        const reason = OVER_CODES.has(ctx.code) ? "its time is over, or it is not a valid one" : ctx.reason;
        onConnection({ state: "closed", reason, needsToken: OVER_CODES.has(ctx.code) || TOKEN_CODES.has(ctx.code) });
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

  /** The wall of all sites; returns how to begin it again (its beginning tells the names of cameras). */
  watchFleet(to: { names(names: Map<string, string>): void; wall(wall: Wall): void; refused(reason: string): void }): () => void {
    const subscription = this.client.newSubscription("fleet");
    subscription.on("subscribed", (ctx) => to.names(readNames(ctx.data)));
    subscription.on("publication", (ctx) => to.wall(readWall(ctx.data)));
    this.start(subscription, to.refused);
    return () => {
      subscription.unsubscribe();
      subscription.subscribe();
    };
  }

  watchCamera(camera: string, to: { scene(scene: Scene, name: string): void; state(state: State): void; refused(reason: string): void }): () => void {
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
    to: { event(event: CameraEvent): void; older(events: CameraEvent[]): void; refused(reason: string): void },
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
        (error: unknown) => to.refused(`older events: ${reasonOf(error)}`),
      );
    });
    return this.start(subscription, to.refused);
  }

  private start(subscription: Subscription, onRefused: (reason: string) => void): () => void {
    subscription.on("error", (ctx) => onRefused(ctx.error.message));
    subscription.on("unsubscribed", (ctx) => {
      if (ctx.code !== 0) onRefused(ctx.reason);
    });
    subscription.subscribe();
    return () => {
      if (subscription.state !== SubscriptionState.Unsubscribed) subscription.unsubscribe();
      subscription.removeAllListeners();
      this.client.removeSubscription(subscription);
    };
  }
}

function reasonOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return "not available";
}
