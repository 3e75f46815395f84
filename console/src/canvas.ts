import type { Line, Point, Scene, State, Track, Zone } from "./model";
import { LINE, ZONE, ZONE_OCCUPIED, colourOf } from "./palette";
import { shortTrack } from "./format";

const TRAIL = 40; // points kept of a track's way
const FONT = '12px system-ui, "Segoe UI", Roboto, sans-serif';

interface View {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
}

/** Draws a camera: its zones and lines, and every track's box with label, id and score. Boxes are in units of the picture, 0..1. */
export class SceneCanvas {
  private scene: Scene = { zones: new Map(), lines: new Map() };
  private state: State | null = null;
  private faded = false;
  private asked = false;
  private readonly trails = new Map<string, Point[]>();
  private readonly observer: ResizeObserver;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(canvas);
  }

  close(): void {
    this.observer.disconnect();
  }

  showScene(scene: Scene): void {
    this.scene = scene;
    this.redraw();
  }

  show(state: State): void {
    this.state = state;
    this.remember(state.tracks);
    this.redraw();
  }

  /** Nothing is left of what was drawn. */
  clear(): void {
    this.scene = { zones: new Map(), lines: new Map() };
    this.state = null;
    this.trails.clear();
    this.redraw();
  }

  /** A picture that is not live is drawn faded. */
  fade(faded: boolean): void {
    if (this.faded === faded) return;
    this.faded = faded;
    this.redraw();
  }

  private remember(tracks: readonly Track[]): void {
    const live = new Set(tracks.map((track) => track.id));
    for (const id of this.trails.keys()) if (!live.has(id)) this.trails.delete(id);
    for (const track of tracks) {
      const trail = this.trails.get(track.id) ?? [];
      trail.push(anchorOf(track));
      if (trail.length > TRAIL) trail.shift();
      this.trails.set(track.id, trail);
    }
  }

  /** At most one drawing per frame of the screen, whatever arrives. */
  private redraw(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  private draw(): void {
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    const context = this.canvas.getContext("2d");
    if (context === null || width === 0 || height === 0) return;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = FONT;
    context.textBaseline = "middle";
    const view: View = { context, width, height };
    drawGround(view);
    const known = this.state !== null && this.state.unknownSince === null;
    for (const [name, zone] of this.scene.zones) drawZone(view, name, zone, known ? (this.state?.occupancy.get(name) ?? 0) : 0);
    for (const [name, line] of this.scene.lines) drawLine(view, name, line);
    context.globalAlpha = this.faded || !known ? 0.35 : 1;
    for (const track of this.state?.tracks ?? []) drawTrack(view, track, this.trails.get(track.id) ?? []);
    context.globalAlpha = 1;
  }
}

/** Bottom centre of the box: where an object stands. */
function anchorOf(track: Track): Point {
  return [(track.box[0] + track.box[2]) / 2, track.box[3]];
}

function path({ context, width, height }: View, points: readonly Point[]): void {
  context.beginPath();
  points.forEach(([x, y], index) => (index === 0 ? context.moveTo(x * width, y * height) : context.lineTo(x * width, y * height)));
}

function drawGround({ context, width, height }: View): void {
  context.strokeStyle = "rgba(255, 255, 255, 0.045)";
  context.lineWidth = 1;
  context.beginPath();
  for (let step = 1; step < 8; step += 1) {
    context.moveTo((width * step) / 8, 0);
    context.lineTo((width * step) / 8, height);
    context.moveTo(0, (height * step) / 8);
    context.lineTo(width, (height * step) / 8);
  }
  context.stroke();
}

function drawZone(view: View, name: string, zone: Zone, inside: number): void {
  const { context, width, height } = view;
  const first = zone.points[0];
  if (first === undefined) return;
  const colour = inside > 0 ? ZONE_OCCUPIED : ZONE;
  path(view, zone.points);
  context.closePath();
  context.globalAlpha = inside > 0 ? 0.16 : 0.08;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 0.8;
  context.strokeStyle = colour;
  context.lineWidth = 1.25;
  context.setLineDash([6, 5]);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
  const left = Math.min(...zone.points.map(([x]) => x)) * width;
  const top = Math.min(...zone.points.map(([, y]) => y)) * height;
  tag(view, `${name} · ${inside}`, left + 4, top + 14, colour, "rgba(12, 16, 20, 0.72)");
}

function drawLine(view: View, name: string, line: Line): void {
  const { context, width, height } = view;
  const first = line.points[0];
  const last = line.points.at(-1);
  if (first === undefined || last === undefined || line.points.length < 2) return;
  path(view, line.points);
  context.strokeStyle = LINE;
  context.lineWidth = 2;
  context.stroke();
  // Walking from the first point to the last, a crossing from left to right is `in`: the arrow points to the right-hand side.
  const [dx, dy] = [(last[0] - first[0]) * width, (last[1] - first[1]) * height];
  const length = Math.hypot(dx, dy) || 1;
  const [nx, ny] = [-dy / length, dx / length];
  const [mx, my] = [((first[0] + last[0]) / 2) * width, ((first[1] + last[1]) / 2) * height];
  context.beginPath();
  context.moveTo(mx, my);
  context.lineTo(mx + nx * 22, my + ny * 22);
  context.moveTo(mx + nx * 22 - nx * 7 - ny * 5, my + ny * 22 - ny * 7 + nx * 5);
  context.lineTo(mx + nx * 22, my + ny * 22);
  context.lineTo(mx + nx * 22 - nx * 7 + ny * 5, my + ny * 22 - ny * 7 - nx * 5);
  context.stroke();
  tag(view, `${name} → ${line.nameIn}`, mx + nx * 26 + 4, my + ny * 26, LINE, "rgba(12, 16, 20, 0.72)");
}

function drawTrack(view: View, track: Track, trail: readonly Point[]): void {
  const { context, width, height } = view;
  const colour = colourOf(track.label);
  if (trail.length > 1) {
    const alpha = context.globalAlpha;
    path(view, trail);
    context.globalAlpha = alpha * 0.45;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke();
    context.globalAlpha = alpha;
  }
  const [x1, y1, x2, y2] = track.box;
  context.strokeStyle = colour;
  context.lineWidth = track.stationary ? 1.25 : 2;
  context.setLineDash(track.stationary ? [4, 3] : []);
  context.strokeRect(x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height);
  context.setLineDash([]);
  const words = [track.label, track.subLabel, `#${shortTrack(track.id)}`, `${Math.round(track.score * 100)}%`];
  tag(view, words.filter((word) => word !== "").join(" "), x1 * width, y1 * height - 9, "#0c1014", colour);
}

/** A line of text on a plate, kept inside the picture. */
function tag({ context, width, height }: View, text: string, x: number, y: number, ink: string, plate: string): void {
  const short = text.length > 48 ? `${text.slice(0, 47)}…` : text;
  const wide = context.measureText(short).width + 8;
  const left = Math.max(0, Math.min(x, width - wide));
  const middle = Math.max(9, Math.min(y, height - 9));
  context.fillStyle = plate;
  context.fillRect(left, middle - 8, wide, 16);
  context.fillStyle = ink;
  context.fillText(short, left + 4, middle + 0.5);
}
