// @ts-check
// Elements from plain calls: no HTML strings anywhere, so nothing a model writes can become markup and a page's
// Trusted Types policy has nothing to refuse.

const ATTRIBUTES = ['role', 'part', 'slot', 'for', 'class', 'list'];

/** @typedef {Node | string | null | undefined | false} Child */

/** Set as attributes: these, and names with a dash.
 * @typedef {{role?: string, part?: string, slot?: string, for?: string, class?: string, list?: string, [name: `${string}-${string}`]: string}} Attributes */

/** @typedef {{[T in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[T]) => void}} Listeners */

/** `on` holds listeners; what is no attribute is a property.
 * @template {keyof HTMLElementTagNameMap} K
 * @typedef {Omit<Partial<HTMLElementTagNameMap[K]>, keyof Attributes> & Attributes & {on?: Listeners}} Props */

/** @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Props<K>} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]} */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  const { on = {}, ...rest } = /** @type {{on?: Listeners}} */ (props ?? {});
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, /** @type {EventListener} */ (listener));
  for (const [name, value] of Object.entries(rest)) {
    if (name.includes('-') || ATTRIBUTES.includes(name)) element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A 16 × 16 drawing in the colour of the text around it.
 * @param {string} path */
export function icon(path) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', 'icon');
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

export const ICONS = {
  stop: 'M4 3h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z',
  warning: 'M8 1.5 15.4 14.5H.6zM7.25 6v4.5h1.5V6zM7.25 11.5V13h1.5v-1.5z',
};
