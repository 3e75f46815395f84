import { el, setData, setText } from "./dom";
import { duration } from "./format";
import type { Connection } from "./link";
import type { Status } from "./model";

/** The bar on top: the tally of the wall, the connection, and what to do when there is none. */
export class Head {
  readonly element: HTMLElement;
  private readonly tally = el("ul", { class: "tally", "aria-label": "Cameras by status" });
  private readonly connection = el("span", { class: "connection", role: "status" });
  private readonly banner = el("div", { class: "banner", role: "alert", hidden: true });
  private readonly bannerText = el("span");
  private readonly again = el("button", { type: "button", class: "button" }, "Connect again");
  private readonly counts: Record<Status, HTMLElement>;
  private lostAt: number | null = null;
  private reason = "";

  constructor(onAgain: () => void, onSignOut: () => void) {
    const count = (status: Status): HTMLElement => {
      const value = el("b", {}, "0");
      this.tally.append(el("li", { "data-status": status }, value, ` ${status}`));
      return value;
    };
    this.counts = { online: count("online"), stale: count("stale"), offline: count("offline") };
    const signOut = el("button", { type: "button", class: "button quiet" }, "Sign out");
    signOut.addEventListener("click", onSignOut);
    this.again.addEventListener("click", onAgain);
    this.banner.append(this.bannerText, this.again);
    const bar = el("div", { class: "bar" }, el("a", { class: "brand", href: "#" }, "Eyrie"), this.tally, this.connection, signOut);
    this.element = el("header", { class: "head" }, bar, this.banner);
  }

  showTally(tally: Record<Status, number>): void {
    for (const status of ["online", "stale", "offline"] as const) {
      setText(this.counts[status], String(tally[status]));
      setData(this.counts[status].parentElement ?? this.tally, "any", String(tally[status] > 0));
    }
  }

  showConnection(connection: Connection): void {
    setData(this.connection, "state", connection.state);
    if (connection.state === "connected") {
      this.lostAt = null;
      setText(this.connection, "Live");
      this.banner.hidden = true;
      return;
    }
    this.lostAt ??= performance.now();
    this.reason = connection.reason;
    setText(this.connection, connection.state === "connecting" ? "Connecting …" : "Not connected");
    this.again.hidden = connection.state === "connecting";
    this.tick(performance.now());
  }

  tick(now: number): void {
    if (this.lostAt === null) return;
    const away = now - this.lostAt;
    this.banner.hidden = away < 1000 && this.again.hidden;
    const why = this.reason === "" ? "" : ` (${this.reason})`;
    const what = this.again.hidden ? "No connection, trying again" : "Eyrie closed the connection";
    setText(this.bannerText, `${what}${why}. Nothing here has been live for ${duration(away)}.`);
  }
}
