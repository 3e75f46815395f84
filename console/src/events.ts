import { el, setText } from "./dom";
import { clock, happened } from "./format";
import type { Refusal } from "./link";
import type { CameraEvent } from "./model";

const KEPT = 200; // entries on the page

interface Entry {
  readonly id: string;
  readonly rank: number;
  readonly offset: number;
  readonly element: HTMLElement;
}

/** The events of one camera, newest first. An event is shown once, however often it arrives. */
export class EventList {
  readonly element: HTMLElement;
  private readonly list = el("ol", { class: "events", tabindex: 0, "aria-label": "Events" });
  private readonly note = el("p", { class: "note" }, "Loading events …");
  private readonly known = new Set<string>();
  private readonly entries: Entry[] = [];
  private before = "";
  private readonly ranks = new Map<string, number>();

  constructor() {
    this.element = el("section", { class: "panel events-panel" }, el("h2", {}, "Events"), this.note, this.list);
  }

  /** Older ones, newest first. Those that came live meanwhile stay above. */
  older(events: readonly CameraEvent[]): void {
    this.before = "";
    for (const event of events) this.insert(event, false);
    this.settle();
  }

  live(event: CameraEvent): void {
    if (this.insert(event, true)) this.entries[0]?.element.classList.add("fresh");
    this.settle();
  }

  /** Those from before are not to be had; new ones come all the same. */
  noOlder(refusal: Refusal): void {
    this.before = refusal.denied ? "Events from before are not yours to see; new ones appear here." : `Older events: ${refusal.reason}.`;
    this.settle();
  }

  /** What may not be seen any more is not left on the page. */
  refused(refusal: Refusal): void {
    if (!refusal.denied) {
      setText(this.note, `Not to be had: ${refusal.reason}`);
      return;
    }
    this.known.clear();
    this.entries.splice(0);
    this.list.replaceChildren();
    setText(this.note, "They are not yours to see.");
  }

  private insert(event: CameraEvent, live: boolean): boolean {
    if (this.known.has(event.id)) return false;
    const entry: Entry = { id: event.id, rank: this.rank(event.epoch, live), offset: event.offset, element: row(event) };
    this.known.add(event.id);
    const at = this.entries.findIndex((other) => other.rank < entry.rank || (other.rank === entry.rank && other.offset < entry.offset));
    const before = at === -1 ? null : (this.entries[at]?.element ?? null);
    this.list.insertBefore(entry.element, before);
    this.entries.splice(at === -1 ? this.entries.length : at, 0, entry);
    return true;
  }

  /** Offsets order the events of one epoch; an epoch first seen live is newer than all known, one first seen in history is older. */
  private rank(epoch: string, live: boolean): number {
    const known = this.ranks.get(epoch);
    if (known !== undefined) return known;
    const ranks = [...this.ranks.values()];
    const rank = ranks.length === 0 ? 0 : live ? Math.max(...ranks) + 1 : Math.min(...ranks) - 1;
    this.ranks.set(epoch, rank);
    return rank;
  }

  private settle(): void {
    for (const entry of this.entries.splice(KEPT)) {
      this.known.delete(entry.id);
      entry.element.remove();
    }
    setText(this.note, this.before !== "" ? this.before : this.entries.length === 0 ? "No events yet." : "");
  }
}

function row(event: CameraEvent): HTMLElement {
  return el(
    "li",
    { "data-event": event.id, "data-type": event.type, "data-severity": event.severity },
    el("time", { datetime: event.time, title: event.time }, clock(event.time)),
    el("span", { class: "event-type" }, event.type),
    el("span", { class: "event-about" }, happened(event)),
  );
}
