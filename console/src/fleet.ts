import type { Status, Summary, Wall } from "./model";

/** One camera of the wall and when (this machine's monotonic clock, milliseconds) its edge was last heard of here. */
export interface Seen {
  readonly summary: Summary;
  readonly heardAt: number;
}

/** The wall's memory: the latest summary of every camera. */
export class Fleet {
  private readonly cameras = new Map<string, Seen>();

  /** Takes a wall message in; returns the cameras that changed and those that are gone. */
  take(wall: Wall, now: number, wallClock: number): { changed: Seen[]; gone: string[] } {
    const changed: Seen[] = [];
    for (const summary of wall.cameras) {
      const before = this.cameras.get(summary.camera);
      if (before && older(summary, before.summary)) continue;
      const seen = { summary, heardAt: heard(summary, before, now, wallClock) };
      this.cameras.set(summary.camera, seen);
      changed.push(seen);
    }
    return { changed, gone: wall.full ? this.forgetMissing(wall) : [] };
  }

  forget(camera: string): void {
    this.cameras.delete(camera);
  }

  get(camera: string): Seen | undefined {
    return this.cameras.get(camera);
  }

  /** All, by site, then by id. */
  all(): Seen[] {
    return [...this.cameras.values()].sort(
      (a, b) => compare(a.summary.site, b.summary.site) || compare(a.summary.camera, b.summary.camera),
    );
  }

  tally(): Record<Status, number> {
    const tally: Record<Status, number> = { online: 0, stale: 0, offline: 0 };
    for (const { summary } of this.cameras.values()) tally[summary.status] += 1;
    return tally;
  }

  /** A full message of one site says nothing of the others. */
  private forgetMissing(wall: Wall): string[] {
    const listed = new Set(wall.cameras.map((summary) => summary.camera));
    const gone = [...this.cameras.values()]
      .filter(({ summary }) => !listed.has(summary.camera) && (wall.site === null || wall.site === summary.site))
      .map(({ summary }) => summary.camera);
    for (const camera of gone) this.cameras.delete(camera);
    return gone;
  }
}

/** Latest (generation, version) wins; the same one may come again with a new status (a hub marks a camera stale by itself). */
function older(next: Summary, known: Summary): boolean {
  return next.generation < known.generation || (next.generation === known.generation && next.version < known.version);
}

function heard(summary: Summary, before: Seen | undefined, now: number, wallClock: number): number {
  if (before && before.summary.received === summary.received) return before.heardAt;
  if (before) return now;
  const age = summary.received === null ? 0 : wallClock - Date.parse(summary.received);
  return now - (Number.isFinite(age) ? Math.max(0, age) : 0);
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
