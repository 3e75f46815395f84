import { el, setData, setText } from "./dom";
import type { Fleet } from "./fleet";
import type { Wall } from "./model";
import type { Names } from "./names";
import { Tile } from "./tile";

/** The wall: one tile per camera, grouped by site. */
export class WallView {
  readonly element = el("main", { class: "wall", "aria-label": "Cameras" });
  private readonly filter = el("input", { type: "search", placeholder: "Filter cameras  ( / )", "aria-label": "Filter cameras", maxlength: 64 });
  private readonly note = el("p", { class: "note", role: "status" }, "Waiting for the first message …");
  private readonly sites = new Map<string, HTMLElement>();
  private readonly tiles = new Map<string, Tile>();
  private connected = false;

  constructor(
    private readonly fleet: Fleet,
    private readonly names: Names,
  ) {
    this.element.append(el("div", { class: "toolbar" }, this.filter), this.note);
    this.filter.addEventListener("input", () => this.applyFilter());
    this.element.addEventListener("keydown", (event) => this.moveFocus(event));
  }

  take(wall: Wall): void {
    const now = performance.now();
    const { changed, gone } = this.fleet.take(wall, now, Date.now());
    for (const seen of changed) {
      const { camera, site } = seen.summary;
      let tile = this.tiles.get(camera);
      if (tile === undefined) {
        tile = new Tile(seen);
        this.tiles.set(camera, tile);
        tile.call(this.names.of(camera));
        this.place(tile, site);
      }
      tile.show(seen, now, this.connected);
    }
    this.names.want(this.tiles.keys());
    for (const camera of gone) this.remove(camera);
    if (gone.length > 0) this.applyFilter();
    setText(this.note, this.tiles.size === 0 ? "No cameras yet. They appear here as soon as one is registered or sends." : "");
  }

  /** The names of cameras became known. */
  callAll(): void {
    for (const [camera, tile] of this.tiles) tile.call(this.names.of(camera));
    this.applyFilter();
  }

  /** Whether no camera is shown. */
  get empty(): boolean {
    return this.tiles.size === 0;
  }

  /** Takes one camera off the wall. */
  drop(camera: string): void {
    this.fleet.forget(camera);
    this.remove(camera);
    this.applyFilter();
  }

  /** Says why the wall is as it is, until the next message. */
  say(note: string): void {
    setText(this.note, note);
  }

  private remove(camera: string): void {
    this.tiles.get(camera)?.element.remove();
    this.tiles.delete(camera);
  }

  tick(now: number, connected: boolean): void {
    this.connected = connected;
    setData(this.element, "connected", String(connected));
    for (const tile of this.tiles.values()) tile.tick(now, connected);
  }

  focusFilter(): void {
    this.filter.focus();
  }

  focusTile(camera: string | null): void {
    const tile = camera === null ? undefined : this.tiles.get(camera);
    tile?.element.focus();
  }

  /** Tiles stay where they are; a new one goes to its place in the order of ids. */
  private place(tile: Tile, site: string): void {
    let grid = this.sites.get(site);
    if (grid === undefined) {
      grid = el("div", { class: "grid" });
      this.sites.set(site, grid);
      const section = el("section", { "data-site": site }, el("h2", {}, site), grid);
      const after = [...this.element.querySelectorAll("section")].find((other) => (other.dataset["site"] ?? "") > site);
      this.element.insertBefore(section, after ?? null);
    }
    const order = this.fleet.all().map(({ summary }) => summary.camera);
    const position = order.indexOf(tile.element.dataset["camera"] ?? "");
    const next = [...grid.children].find(
      (other) => other instanceof HTMLElement && order.indexOf(other.dataset["camera"] ?? "") > position,
    );
    grid.insertBefore(tile.element, next ?? null);
    this.applyFilter();
  }

  private applyFilter(): void {
    const wanted = this.filter.value.trim().toLowerCase();
    for (const [camera, tile] of this.tiles) {
      tile.element.hidden = !`${camera} ${this.names.of(camera)} ${tile.element.dataset["site"] ?? ""}`.toLowerCase().includes(wanted);
    }
    for (const grid of this.sites.values()) {
      const section = grid.parentElement;
      if (section !== null) section.hidden = [...grid.children].every((tile) => tile instanceof HTMLElement && tile.hidden);
    }
  }

  /** Arrow keys walk over the tiles as they lie on the screen. */
  private moveFocus(event: KeyboardEvent): void {
    const shown = [...this.tiles.values()].map((tile) => tile.element).filter((tile) => !tile.hidden);
    const from = shown.find((tile) => tile === document.activeElement);
    if (from === undefined || !event.key.startsWith("Arrow")) return;
    const here = centre(from);
    const nearest = shown
      .filter((tile) => tile !== from && lies(event.key, here, centre(tile)))
      .sort((a, b) => distance(event.key, here, centre(a)) - distance(event.key, here, centre(b)))[0];
    if (nearest !== undefined) {
      event.preventDefault();
      nearest.focus();
    }
  }
}

interface Place {
  readonly x: number;
  readonly y: number;
}

function centre(element: Element): Place {
  const box = element.getBoundingClientRect();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

function lies(key: string, from: Place, to: Place): boolean {
  if (key === "ArrowLeft") return to.x < from.x - 1;
  if (key === "ArrowRight") return to.x > from.x + 1;
  if (key === "ArrowUp") return to.y < from.y - 1;
  return to.y > from.y + 1;
}

/** Across the way of the key counts four times, so that a row or column is followed before it is left. */
function distance(key: string, from: Place, to: Place): number {
  const sideways = key === "ArrowLeft" || key === "ArrowRight";
  const along = sideways ? Math.abs(to.x - from.x) : Math.abs(to.y - from.y);
  const across = sideways ? Math.abs(to.y - from.y) : Math.abs(to.x - from.x);
  return along + 4 * across;
}
