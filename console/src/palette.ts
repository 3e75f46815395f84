/** One colour per label, always the same one, told apart by most eyes on a dark ground (after Okabe and Ito, lightened). */

const KNOWN: Record<string, string> = { person: "#6cb6ff", car: "#f0b429", vehicle: "#f0b429", truck: "#e8835a", bus: "#c792ea", bicycle: "#4fd1b5" };
const OTHERS = ["#6cb6ff", "#f0b429", "#4fd1b5", "#f28ab2", "#c792ea", "#e8835a", "#9ccc65", "#8fa3bf"];

export const ZONE = "#8ea2b8";
export const ZONE_OCCUPIED = "#7ee0c0";
export const LINE = "#f5d76e";

export function colourOf(label: string): string {
  const known = KNOWN[label];
  if (known !== undefined) return known;
  let hash = 7;
  for (const letter of label) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return OTHERS[hash % OTHERS.length] ?? "#8fa3bf";
}
