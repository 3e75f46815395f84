/** Elements are made here and nowhere else. Text from cameras only ever becomes text nodes. */

type Child = Node | string | null;

export interface Attributes {
  readonly [name: string]: string | number | boolean | null | undefined;
}

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null));
  return element;
}

/** Set text only where it differs: an untouched node costs no layout and keeps a reader's selection. */
export function setText(element: HTMLElement, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

export function setData(element: HTMLElement, name: string, value: string): void {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** Replace the children by one element per row, reusing those that are there. */
export function rows<T>(parent: HTMLElement, items: readonly T[], make: () => HTMLElement, fill: (element: HTMLElement, item: T) => void): void {
  while (parent.childElementCount > items.length) parent.lastElementChild?.remove();
  items.forEach((item, index) => {
    const existing = parent.children[index];
    const element = existing instanceof HTMLElement ? existing : parent.appendChild(make());
    fill(element, item);
  });
}
