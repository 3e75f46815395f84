import { el, rows, setData, setText } from "./dom";
import type { Seen } from "./fleet";
import { clock, duration, presence, shownStatus, words } from "./format";
import type { Summary } from "./model";
import { colourOf } from "./palette";
import { hrefOf } from "./session";

/** One camera on the wall. */
export class Tile {
  readonly element: HTMLAnchorElement;
  private readonly name = el("h3");
  private readonly id = el("span", { class: "id" });
  private readonly status = el("span", { class: "pill" });
  private readonly objects = el("ul", { class: "chips objects", "aria-label": "In view" });
  private readonly facts = el("ul", { class: "facts", "aria-label": "Zones and lines" });
  private readonly eventType = el("span", { class: "event-type" });
  private readonly eventAbout = el("span", { class: "event-about" });
  private readonly eventTime = el("time", { class: "event-time" });
  private readonly lastEvent = el("p", { class: "last-event" }, this.eventType, this.eventAbout, this.eventTime);
  private readonly age = el("span", { class: "age" });
  private readonly fps = el("span", { class: "fps" });
  private seen: Seen;

  constructor(seen: Seen) {
    this.seen = seen;
    const { camera, site } = seen.summary;
    this.element = el(
      "a",
      { class: "tile", href: hrefOf(camera), "data-camera": camera, "data-site": site },
      el("header", {}, el("div", { class: "title" }, this.name, this.id), this.status),
      this.objects,
      this.facts,
      this.lastEvent,
      el("footer", {}, this.age, this.fps),
    );
  }

  call(name: string): void {
    const { camera } = this.seen.summary;
    setText(this.name, name);
    setText(this.id, name === camera ? "" : camera);
  }

  show(seen: Seen, now: number, connected: boolean): void {
    this.seen = seen;
    const { summary } = seen;
    setData(this.element, "severity", summary.severity);
    rows(this.objects, chips(summary), () => el("li"), fillChip);
    rows(this.facts, facts(summary), () => el("li", {}, el("span"), el("b")), fillFact);
    const last = summary.lastEvent;
    setData(this.lastEvent, "severity", last?.severity ?? "");
    setText(this.eventType, last === null ? "no event yet" : last.type);
    setText(this.eventAbout, last?.about ?? "");
    setText(this.eventTime, last === null ? "" : clock(last.time));
    setText(this.fps, summary.status === "online" ? `${summary.fps.toFixed(1)} fps` : "");
    this.tick(now, connected);
  }

  /** What changes with time alone. */
  tick(now: number, connected: boolean): void {
    const { summary, heardAt } = this.seen;
    const age = now - heardAt;
    const [status, name] = shownStatus(summary, age, connected);
    setData(this.element, "status", status);
    setText(this.status, name);
    const reason = summary.status !== "online" && summary.reason !== null ? ` · ${words(summary.reason)}` : "";
    setText(this.age, summary.received === null ? `never heard of${reason}` : `updated ${duration(age)} ago${reason}`);
  }
}

function chips(summary: Summary): (readonly [string, number])[] {
  if (summary.unknownSince !== null) return [];
  return [...summary.objects].filter(([, count]) => count > 0).sort(([a], [b]) => a.localeCompare(b, "en"));
}

function fillChip(element: HTMLElement, [label, count]: readonly [string, number]): void {
  setText(element, `${label} ${count}`);
  element.style.setProperty("--label", colourOf(label));
}

function facts(summary: Summary): (readonly [string, string])[] {
  return [
    ...[...summary.occupancy].map(([zone, count]) => [zone, summary.unknownSince === null ? `${count} inside` : presence(summary, count)] as const),
    ...[...summary.counts].map(([line, count]) => [line, `${count.in} in · ${count.out} out`] as const),
  ];
}

function fillFact(element: HTMLElement, [name, value]: readonly [string, string]): void {
  const [label, fact] = element.children;
  if (label instanceof HTMLElement) setText(label, name);
  if (fact instanceof HTMLElement) setText(fact, value);
}
