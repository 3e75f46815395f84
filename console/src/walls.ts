import type { Link, Refusal } from "./link";
import { type Summary, type Wall, readList } from "./model";
import type { Names } from "./names";
import type { WallView } from "./wall";

const LOOK_MS = 30_000; // between two looks at what there is to see
const MAX_WALLS = 100; // a connection may have 128 subscriptions, and an open camera takes two
const NOTHING =
  "There is no camera that this token may show here: it needs a role such as viewer, and sites or cameras that exist " +
  "(eyrie token --role viewer --site <site>). A camera that you know by its id opens as #camera=<id> in the address.";

interface Watched {
  readonly stop: () => void;
  readonly again: () => void;
}

/**
 * Chooses what the wall is made of: the fleet for who may see it; else the wall of each site that this token may see; else, for a token
 * that lists cameras, those one by one. What is refused later is taken off the wall.
 */
export class Walls {
  private readonly sites = new Map<string, Watched>();
  private readonly cameras = new Map<string, Watched>();
  private fleet: Watched | null = null;
  private timer = 0;
  private closed = false;
  private lent: string | null = null;

  constructor(
    private readonly link: Link,
    private readonly names: Names,
    private readonly view: WallView,
    private readonly onChange: () => void,
  ) {}

  begin(): void {
    this.fleet = this.watch("fleet", (refusal) => {
      if (!refusal.denied) return this.view.say(`The wall is not to be had: ${refusal.reason}`);
      this.fleet?.stop();
      this.fleet = null;
      this.take({ site: null, full: true, cameras: [] });
      this.view.say("Looking for the sites that you may see …");
      void this.look();
    });
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
  }

  /** Begin all again, for the names of cameras that their beginnings tell. */
  again(): void {
    this.fleet?.again();
    for (const site of this.sites.values()) site.again();
  }

  /** A camera that a page of its own watches now, which one connection cannot do twice; null: none. */
  lend(camera: string | null): void {
    if (this.lent === camera) return;
    const back = this.lent;
    this.lent = camera;
    if (camera !== null) this.cameras.get(camera)?.stop();
    if (back !== null && this.cameras.has(back)) this.watchCamera(back);
  }

  /** What there is to see; again and again, since sites and cameras come and go. */
  private async look(): Promise<void> {
    try {
      const sites = await this.link.read("/v1/sites", MAX_WALLS);
      const named = readList(sites, "sites", "site").map(([site]) => site);
      const single = named.length === 0 ? readList(await this.link.read("/v1/cameras", MAX_WALLS), "cameras", "camera") : [];
      if (this.closed) return;
      this.names.take(new Map(single.filter(([, name]) => name !== "")));
      this.settle(this.sites, named, (site) => this.watchSite(site), (site) => this.take({ site, full: true, cameras: [] }));
      const ids = single.map(([camera]) => camera);
      this.settle(this.cameras, ids, (camera) => this.watchCamera(camera), (camera) => this.drop(camera));
      if (named.length + single.length === 0) this.view.say(NOTHING);
      else if (this.view.empty) this.view.say(named.length > 0 ? `No cameras yet at ${named.join(", ")}.` : "Waiting for the first message …");
    } catch (error) {
      if (this.view.empty) this.view.say(`What you may see is not to be had for now: ${error instanceof Error ? error.message : "no answer"}`);
    }
    if (!this.closed) this.timer = window.setTimeout(() => void this.look(), LOOK_MS);
  }

  private settle(known: Map<string, Watched>, wanted: readonly string[], begin: (name: string) => void, gone: (name: string) => void): void {
    for (const [name, watched] of known) {
      if (wanted.includes(name)) continue;
      watched.stop();
      known.delete(name);
      gone(name);
    }
    for (const name of wanted.slice(0, MAX_WALLS)) if (!known.has(name)) begin(name);
  }

  private watchSite(site: string): void {
    const watched = this.watch(`site:${site}`, (refusal) => {
      if (!refusal.denied) return;
      this.sites.get(site)?.stop();
      this.sites.delete(site);
      this.take({ site, full: true, cameras: [] });
    });
    this.sites.set(site, watched);
  }

  private watchCamera(camera: string): void {
    const stop =
      camera === this.lent
        ? () => undefined
        : this.link.watchSummary(camera, {
            summary: (summary) => this.take(only(summary)),
            refused: (refusal) => {
              if (!refusal.denied) return;
              this.cameras.get(camera)?.stop();
              this.cameras.delete(camera);
              this.drop(camera);
            },
          });
    this.cameras.set(camera, { stop, again: () => undefined });
  }

  private watch(channel: string, refused: (refusal: Refusal) => void): Watched {
    return this.link.watchWall(channel, {
      names: (names) => this.names.take(names),
      wall: (wall) => this.take(wall),
      refused,
    });
  }

  private take(wall: Wall): void {
    this.view.take(wall);
    this.onChange();
  }

  private drop(camera: string): void {
    this.view.drop(camera);
    this.onChange();
  }
}

function only(summary: Summary): Wall {
  return { site: null, full: false, cameras: [summary] };
}
