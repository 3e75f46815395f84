/** Names of cameras: a wall's subscription tells them when it begins, and is begun again when a camera appears that has none yet. */

const AGAIN_MS = 30_000; // between two beginnings

export class Names {
  private readonly known = new Map<string, string>();
  private readonly looked = new Set<string>();
  private askedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly ask: () => void,
    private readonly onNames: () => void,
  ) {}

  /** What to call a camera: its name, or its id where it has none. */
  of(camera: string): string {
    return this.known.get(camera) ?? camera;
  }

  /** Takes in what a subscription told. */
  take(names: ReadonlyMap<string, string>): void {
    for (const [camera, name] of names) this.known.set(camera, name);
    this.onNames();
  }

  /** Ask again if one of these cameras has appeared since the last time. A camera without a name is asked for once. */
  want(cameras: Iterable<string>): void {
    const fresh = [...cameras].filter((camera) => !this.looked.has(camera));
    const now = performance.now();
    if (fresh.length === 0 || now - this.askedAt < AGAIN_MS) return;
    const first = this.looked.size === 0; // the subscription that showed these cameras told their names too
    for (const camera of fresh) this.looked.add(camera);
    this.askedAt = now;
    if (!first) this.ask();
  }
}
