/** What arrives over the wire, read with care: anything that does not look right is left out, never guessed. */

export type Status = "online" | "stale" | "offline";
export type Point = readonly [number, number];
export type Box = readonly [number, number, number, number];

export interface LineCount {
  readonly in: number;
  readonly out: number;
  readonly since: string;
}

export interface LastEvent {
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly severity: string;
  readonly about: string;
}

export interface Summary {
  readonly camera: string;
  readonly site: string;
  readonly generation: number;
  readonly version: number;
  readonly status: Status;
  readonly reason: string | null;
  readonly time: string | null;
  readonly received: string | null;
  /** No frame came since: objects, occupancy and tracks are what was seen last, not what is there now. */
  readonly unknownSince: string | null;
  readonly fps: number;
  readonly objects: ReadonlyMap<string, number>;
  readonly occupancy: ReadonlyMap<string, number>;
  readonly counts: ReadonlyMap<string, LineCount>;
  readonly severity: string;
  readonly lastEvent: LastEvent | null;
}

export interface Track {
  readonly id: string;
  readonly label: string;
  readonly subLabel: string;
  readonly score: number;
  readonly box: Box;
  readonly stationary: boolean;
  readonly zones: readonly string[];
}

export interface State extends Summary {
  readonly tracks: readonly Track[];
}

export interface Wall {
  readonly site: string | null;
  readonly full: boolean;
  readonly cameras: readonly Summary[];
}

export interface Zone {
  readonly points: readonly Point[];
}

export interface Line {
  readonly points: readonly Point[];
  readonly nameIn: string;
  readonly nameOut: string;
}

export interface Scene {
  readonly zones: ReadonlyMap<string, Zone>;
  readonly lines: ReadonlyMap<string, Line>;
}

export interface CameraEvent {
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly severity: string;
  readonly epoch: string;
  readonly offset: number;
  readonly track: string;
  readonly label: string;
  readonly zone: string;
  readonly line: string;
  readonly data: ReadonlyMap<string, unknown>;
}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** Text, or what stands for it: a redacted value names its class. */
export function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const hidden = fields(value)["redacted"];
  return typeof hidden === "string" ? `[${hidden} hidden]` : "";
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function mapped<T>(value: unknown, read: (item: unknown) => T): ReadonlyMap<string, T> {
  return new Map(Object.entries(fields(value)).map(([name, item]) => [name, read(item)]));
}

function points(value: unknown): readonly Point[] {
  return list(value).map((point) => [number(list(point)[0]), number(list(point)[1])] as const);
}

function total(value: unknown): number {
  return Object.values(fields(value)).reduce<number>((sum, count) => sum + number(count), 0);
}

function status(value: unknown): Status {
  return value === "online" || value === "stale" ? value : "offline";
}

function lastEvent(value: unknown): LastEvent | null {
  const from = fields(value);
  if (typeof from["id"] !== "string") return null;
  const about = [text(from["label"]), text(from["zone"]) || text(from["line"])].filter((part) => part !== "").join(" · ");
  return { id: from["id"], type: text(from["type"]), time: text(from["time"]), severity: text(from["severity"]), about };
}

export function readSummary(value: unknown): Summary | null {
  const from = fields(value);
  const camera = from["camera"];
  if (typeof camera !== "string" || camera === "") return null;
  return {
    camera,
    site: text(from["site"]),
    generation: number(from["generation"]),
    version: number(from["version"]),
    status: status(from["status"]),
    reason: textOrNull(from["reason"]),
    time: textOrNull(from["time"]),
    received: textOrNull(from["received"]),
    unknownSince: textOrNull(from["unknown_since"]),
    fps: number(from["fps"]),
    objects: mapped(from["objects"], number),
    occupancy: mapped(from["occupancy"], total),
    counts: mapped(from["counts"], (item) => {
      const count = fields(item);
      return { in: number(count["in"]), out: number(count["out"]), since: text(count["since"]) };
    }),
    severity: text(from["severity"]),
    lastEvent: lastEvent(from["last_event"]),
  };
}

function readTrack(value: unknown): Track {
  const from = fields(value);
  const box = list(from["box"]);
  return {
    id: text(from["id"]),
    label: text(from["label"]),
    subLabel: text(from["sub_label"]),
    score: number(from["score"]),
    box: [number(box[0]), number(box[1]), number(box[2]), number(box[3])],
    stationary: from["stationary"] === true,
    zones: list(from["current_zones"]).map(text),
  };
}

export function readState(value: unknown): State | null {
  const summary = readSummary(value);
  return summary && { ...summary, tracks: list(fields(value)["tracks"]).map(readTrack) };
}

export function readWall(value: unknown): Wall {
  const from = fields(value);
  const cameras = list(from["cameras"]).map(readSummary).filter((camera) => camera !== null);
  return { site: textOrNull(from["site"]), full: from["full"] === true, cameras };
}

/** The scene as the reply to a subscription carries it: `{scene: {zones, lines}, scene_version}`. */
export function readScene(value: unknown): Scene {
  const scene = fields(fields(value)["scene"]);
  return {
    zones: mapped(scene["zones"], (item) => ({ points: points(fields(item)["points"]) })),
    lines: mapped(scene["lines"], (item) => {
      const from = fields(item);
      return { points: points(from["points"]), nameIn: text(from["name_in"]) || "in", nameOut: text(from["name_out"]) || "out" };
    }),
  };
}

/** The camera's name in the same reply; empty where it has none. */
export function readName(value: unknown): string {
  return text(fields(value)["name"]);
}

/** Camera → name, as a wall's subscription tells them. */
export function readNames(value: unknown): Map<string, string> {
  return new Map(Object.entries(fields(fields(value)["names"])).map(([camera, name]) => [camera, text(name)]));
}

/** (id, name) of a list that REST answered: `{<list>: [{<id>: …, name?: …}]}`. */
export function readList(value: unknown, listed: string, id: string): [string, string][] {
  return list(fields(value)[listed])
    .map((item): [string, string] => [text(fields(item)[id]), text(fields(item)["name"])])
    .filter(([found]) => found !== "");
}

export function readEvent(value: unknown): CameraEvent | null {
  const from = fields(value);
  if (typeof from["id"] !== "string") return null;
  return {
    id: from["id"],
    type: text(from["type"]),
    time: text(from["time"]),
    severity: text(from["severity"]),
    epoch: text(from["epoch"]),
    offset: number(from["offset"]),
    track: text(from["track"]),
    label: text(from["label"]),
    zone: text(from["zone"]),
    line: text(from["line"]),
    data: new Map(Object.entries(fields(from["data"]))),
  };
}
