import "./style.css";
import "./wall.css";
import "./camera.css";

import { CameraView } from "./camera";
import { el, setData } from "./dom";
import { Fleet } from "./fleet";
import { Head } from "./head";
import { type Connection, Link } from "./link";
import { Names } from "./names";
import { closeSession, mayHaveSession, nextTicket, NoSession, openSession } from "./people";
import { type Arrival, exchange, forgetToken, hrefOf, keepToken, route, storedToken, takeFromAddress } from "./session";
import { replaceSession, signIn, signingIn } from "./signin";
import { WallView } from "./wall";
import { Walls } from "./walls";

const TICK_MS = 500; // ages and "no news" are looked at this often

/** The signed-in console: one link, the wall, and at most one open camera above it. */
class Console {
  private readonly fleet = new Fleet();
  private readonly names: Names;
  private readonly wall: WallView;
  private readonly head: Head;
  private readonly link: Link;
  private readonly timer: number;
  private camera: CameraView | null = null;
  private connected = false;
  private readonly walls: Walls;

  constructor(
    private readonly app: HTMLElement,
    token: string,
    private readonly leave: (reason: string) => void,
    signOut: () => void,
    private readonly renew?: () => Promise<string>,
  ) {
    this.names = new Names(
      () => this.walls.again(),
      () => this.wall.callAll(),
    );
    this.wall = new WallView(this.fleet, this.names);
    this.head = new Head(
      () => this.link.open(),
      signOut,
    );
    this.link = new Link(token, (connection) => this.onConnection(connection), renew);
    this.app.replaceChildren(this.head.element, this.wall.element);
    this.walls = new Walls(this.link, this.names, this.wall, () => this.head.showTally(this.fleet.tally()));
    this.walls.begin();
    this.timer = window.setInterval(() => this.tick(), TICK_MS);
    this.navigate();
    this.link.open();
  }

  close(): void {
    window.clearInterval(this.timer);
    this.walls.close();
    this.link.close();
    this.camera?.close();
  }

  navigate(): void {
    const wanted = route().camera;
    if (this.camera?.camera === wanted) return;
    const left = this.camera?.camera ?? null;
    this.camera?.close();
    if (wanted !== null) this.walls.lend(wanted);
    this.camera = wanted === null ? null : new CameraView(wanted, this.link);
    if (wanted === null) this.walls.lend(null);
    this.wall.element.hidden = this.camera !== null;
    if (this.camera !== null) this.app.append(this.camera.element);
    else this.wall.focusTile(left);
    document.title = wanted === null ? "Eyrie" : `${wanted} · Eyrie`;
    this.tick();
  }

  onKey(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (event.key === "Escape" && this.camera !== null) location.hash = hrefOf(null);
    else if (event.key === "/" && !typing && this.camera === null) {
      event.preventDefault();
      this.wall.focusFilter();
    }
  }

  private onConnection(connection: Connection): void {
    this.connected = connection.state === "connected";
    if (connection.state === "closed" && connection.needsToken) {
      forgetToken();
      this.leave(
        this.renew === undefined
          ? `Eyrie did not accept the token: ${connection.reason}. Get a new one.`
          : `Your session is over: ${connection.reason}. Sign in, and you are back here.`,
      );
      return;
    }
    this.head.showConnection(connection);
    setData(this.app, "connection", connection.state);
    this.tick();
  }

  private tick(): void {
    const now = performance.now();
    this.head.tick(now);
    this.wall.tick(now, this.connected);
    this.camera?.tick(now, this.connected);
  }
}

function start(app: HTMLElement): void {
  let console: Console | null = null;

  const ask = (reason: string): void => {
    console?.close();
    console = null;
    forgetToken();
    delete app.dataset["connection"];
    app.replaceChildren(signIn(reason, signInWith, enter));
  };
  const signInWith = async (user: string, password: string): Promise<void> => {
    enterSession((await openSession(user, password)).ticket);
  };
  const enterSession = (ticket: string): void => {
    console?.close();
    forgetToken();
    const renew = async (): Promise<string> => (await nextTicket()).ticket;
    console = new Console(app, ticket, ask, signOut, renew);
  };
  const signOut = (): void => {
    if (!mayHaveSession()) {
      ask("Signed out.");
      return;
    }
    closeSession().then(
      () => ask("Signed out."),
      (error: Error) => ask(`Not signed out: ${error.message}. Open this page again, and sign out there.`),
    );
  };
  const enter = (token: string): void => {
    console?.close();
    keepToken(token);
    console = new Console(app, token, ask, signOut);
  };
  const resume = (): void => {
    const token = storedToken();
    if (token !== null) enter(token);
    else if (mayHaveSession()) {
      app.replaceChildren(signingIn());
      nextTicket().then(
        (found) => enterSession(found.ticket),
        (error: Error) => ask(error instanceof NoSession ? "Your session is over. Sign in, and you are back here." : `${error.message}.`),
      );
    } else ask("Sign in to see your cameras.");
  };

  const arrive = (arrived: Arrival): void => {
    const kept = storedToken();
    if ((kept === null && !mayHaveSession()) || kept === arrived.token?.trim()) {
      take(arrived);
      return;
    }
    // Whoever made this link chose whose session it is: who is signed in here decides.
    console?.close();
    console = null;
    delete app.dataset["connection"];
    app.replaceChildren(replaceSession(resume, () => take(arrived)));
  };
  const take = (arrived: Arrival): void => {
    if (arrived.token !== null) enter(arrived.token);
    else if (arrived.code !== null) {
      console?.close();
      console = null;
      forgetToken();
      app.replaceChildren(signingIn());
      exchange(arrived.code).then(enter, (error: Error) => ask(error.message));
    }
  };

  window.addEventListener("hashchange", () => {
    const arrived = takeFromAddress();
    if (arrived !== null) arrive(arrived);
    else console?.navigate();
  });
  window.addEventListener("keydown", (event) => console?.onKey(event));
  const arrived = takeFromAddress();
  if (arrived !== null) arrive(arrived);
  else resume();
}

start(document.querySelector<HTMLElement>("#app") ?? document.body.appendChild(el("div", { id: "app" })));
