import type { CameraEvent, Status, Summary } from "./model";

/** "3 s", "4 min", "2 h", "5 d". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Local time of day, with the date when it is not today's. */
export function clock(time: string, today = new Date()): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "";
  const ofDay = at.toLocaleTimeString("en-GB", { hour12: false });
  return at.toDateString() === today.toDateString() ? ofDay : `${at.toLocaleDateString("en-CA")} ${ofDay}`;
}

const STATUS_WORDS: Record<Status, string> = { online: "Online", stale: "Stale", offline: "Offline" };
const QUIET_AFTER_MS = 10_000; // the hub promises to say stale within this time; if it does not, the page itself says so

/** The status to show and its word: what the hub says, as long as the hub is heard of. */
export function shownStatus(summary: Summary, age: number, connected: boolean): [status: Status | "unknown", word: string] {
  if (!connected) return ["unknown", "Unknown"];
  if (summary.status === "online" && age > QUIET_AFTER_MS) return ["stale", "No news"];
  return [summary.status, STATUS_WORDS[summary.status]];
}

/** How many are there now, or since when nobody knows. */
export function presence(summary: Summary, count: number): string {
  return summary.unknownSince === null ? String(count) : `unknown since ${clock(summary.unknownSince)}`;
}

/** A reason code ("edge_silent") as words. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}

/** What happened, for a list of events: `person 12 entered entrance`. */
export function happened(event: CameraEvent): string {
  const who = [event.label, event.track && `#${shortTrack(event.track)}`].filter((part) => part !== "").join(" ");
  const way = event.data.get("direction");
  const where = event.zone || event.line;
  const parts = [who, where && (who === "" ? where : `· ${where}`), typeof way === "string" && way !== "" ? `· ${way}` : ""];
  const told = parts.filter((part) => part !== "").join(" ");
  if (told !== "") return told;
  const why = event.data.get("reason");
  return typeof why === "string" ? words(why) : "";
}

/** Track ids can be long; the end tells them apart. */
export function shortTrack(id: string): string {
  return id.length > 8 ? `…${id.slice(-6)}` : id;
}
