import { SceneCanvas } from "./canvas";
import { el, rows, setData, setText } from "./dom";
import { EventList } from "./events";
import { clock, duration, presence, shownStatus, words } from "./format";
import type { Link, Refusal } from "./link";
import type { Scene, State } from "./model";
import { colourOf } from "./palette";
import { hrefOf } from "./session";

/** One camera: its picture of boxes, what it counts, and its events as they come. */
export class CameraView {
  readonly element: HTMLElement;
  private readonly canvas = el("canvas", { class: "scene", role: "img" });
  private readonly scene = new SceneCanvas(this.canvas);
  private readonly veil = el("p", { class: "veil", role: "status" });
  private readonly status = el("span", { class: "pill" });
  private readonly name = el("h1");
  private readonly site = el("span", { class: "muted" });
  private readonly age = el("span", { class: "muted age" });
  private readonly objects = el("ul", { class: "chips objects", "aria-label": "In view" });
  private readonly objectsPanel = el("section", { class: "panel" }, this.objects);
  private readonly zones = el("tbody");
  private readonly lines = el("tbody");
  private readonly tracks = el("tbody");
  private readonly zonesPanel = panel("Zones", ["zone", "inside"], this.zones);
  private readonly linesPanel = panel("Lines", ["line", "in", "out", "since"], this.lines);
  private readonly tracksPanel = panel("In view", ["object", "track", "score", "where"], this.tracks);
  private readonly events = new EventList();
  private readonly stops: (() => void)[];
  private names: Scene = { zones: new Map(), lines: new Map() };
  private state: State | null = null;
  private heardAt = 0;
  private isDenied = false;

  constructor(
    readonly camera: string,
    link: Link,
  ) {
    setText(this.name, camera);
    this.canvas.setAttribute("aria-label", `Objects in front of ${camera}`);
    this.element = el(
      "main",
      { class: "camera", "data-camera": camera, "aria-label": `Camera ${camera}` },
      el("div", { class: "toolbar" }, el("a", { class: "button back", href: hrefOf(null) }, "← Wall"), this.name, this.status, this.site, this.age),
      el("div", { class: "main-column" }, el("div", { class: "stage" }, this.canvas, this.veil), this.tracksPanel),
      el("aside", {}, this.objectsPanel, this.zonesPanel, this.linesPanel, this.events.element),
    );
    this.stops = [
      link.watchCamera(camera, {
        scene: (scene, name) => this.showScene(scene, name),
        state: (state) => this.show(state),
        refused: (refusal) => this.refused(refusal),
      }),
      link.watchEvents(camera, {
        event: (event) => this.events.live(event),
        older: (older) => this.events.older(older),
        noOlder: (refusal) => this.events.noOlder(refusal),
        refused: (refusal) => this.events.refused(refusal),
      }),
    ];
    this.tick(performance.now(), false);
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.scene.close();
    this.element.remove();
  }

  /** What changes with time alone: the age, and whether what is drawn is live. */
  tick(now: number, connected: boolean): void {
    const { state } = this;
    if (state === null) {
      setData(this.element, "status", "unknown");
      setText(this.status, this.isDenied ? "Not shown" : "Waiting");
      return;
    }
    const age = now - this.heardAt;
    const [status, word] = shownStatus(state, age, connected);
    setData(this.element, "status", status);
    setText(this.status, word);
    setText(this.age, `${state.received === null ? "never heard of" : `updated ${duration(age)} ago`} · ${state.fps.toFixed(1)} fps`);
    const why = notLive(state, status, age);
    this.scene.fade(why !== "");
    setText(this.veil, why);
  }

  private show(state: State): void {
    if (this.state !== null && outdated(state, this.state)) return;
    const first = this.state === null;
    this.isDenied = false;
    this.objectsPanel.hidden = false;
    if (first || this.state?.received !== state.received) this.heardAt = performance.now() - (first ? sinceReceived(state) : 0);
    this.state = state;
    this.scene.show(state);
    this.canvas.dataset["tracks"] = String(state.tracks.length);
    setText(this.site, state.site);
    this.fillPanels(state);
    this.tick(performance.now(), true);
  }

  private showScene(scene: Scene, name: string): void {
    this.names = scene;
    setText(this.name, name === "" || name === this.camera ? this.camera : `${name} · ${this.camera}`);
    this.scene.showScene(scene);
    if (this.state !== null) this.fillPanels(this.state);
  }

  /** What may not be seen any more is not left on the page. */
  private refused(refusal: Refusal): void {
    if (!refusal.denied) {
      setText(this.veil, `Not to be had: ${refusal.reason}`);
      return;
    }
    this.state = null;
    this.scene.clear();
    setText(this.name, this.camera);
    for (const element of [this.site, this.age]) setText(element, "");
    for (const list of [this.objects, this.zones, this.lines, this.tracks]) list.replaceChildren();
    for (const shown of [this.objectsPanel, this.zonesPanel, this.linesPanel, this.tracksPanel]) shown.hidden = true;
    this.isDenied = true;
    this.tick(performance.now(), false);
    setText(this.veil, `There is no camera ${this.camera}, or it is not yours to see.`);
  }

  private fillPanels(state: State): void {
    const known = state.unknownSince === null;
    const objects = [...state.objects].filter(([, count]) => known && count > 0).sort(([a], [b]) => a.localeCompare(b, "en"));
    rows(this.objects, objects, () => el("li"), (item, [label, count]) => {
      setText(item, `${label} ${count}`);
      item.style.setProperty("--label", colourOf(label));
    });
    const zones = [...new Set([...this.names.zones.keys(), ...state.occupancy.keys()])];
    this.zonesPanel.hidden = zones.length === 0;
    cells(this.zones, zones.map((zone) => [zone, presence(state, state.occupancy.get(zone) ?? 0)]));
    const lines = [...new Set([...this.names.lines.keys(), ...state.counts.keys()])];
    this.linesPanel.hidden = lines.length === 0;
    cells(this.lines, lines.map((line) => {
      const count = state.counts.get(line);
      return [line, String(count?.in ?? 0), String(count?.out ?? 0), count === undefined ? "" : clock(count.since)];
    }));
    cells(this.tracks, (known ? state.tracks : []).slice(0, 40).map((track) => [
      [track.label, track.subLabel].filter((part) => part !== "").join(" · "),
      track.id,
      `${Math.round(track.score * 100)}%`,
      [...track.zones, ...(track.stationary ? ["standing"] : [])].join(", "),
    ]));
    this.tracksPanel.hidden = !known || state.tracks.length === 0;
  }
}

/** Why the picture is not live; empty when it is. */
function notLive(state: State, shown: State["status"] | "unknown", age: number): string {
  const seen = `what you see is ${duration(age)} old`;
  const reason = state.reason === null ? "" : ` (${words(state.reason)})`;
  if (shown === "online") return "";
  if (shown === "unknown") return `No connection to Eyrie: ${seen}`;
  if (state.status === "online") return `No news from Eyrie: ${seen}`;
  return shown === "offline" ? `Offline${reason}` : `Stale${reason}: ${seen}`;
}

function outdated(next: State, shown: State): boolean {
  return next.generation < shown.generation || (next.generation === shown.generation && next.version < shown.version);
}

function sinceReceived(state: State): number {
  const age = state.received === null ? 0 : Date.now() - Date.parse(state.received);
  return Number.isFinite(age) ? Math.max(0, age) : 0;
}

function panel(title: string, columns: readonly string[], body: HTMLElement): HTMLElement {
  return el(
    "section",
    { class: "panel" },
    el("h2", {}, title),
    el("table", {}, el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))), body),
  );
}

function cells(body: HTMLElement, table: readonly (readonly string[])[]): void {
  rows(body, table, () => el("tr"), (line, values) => rows(line, values, () => el("td"), setText));
}
