// @ts-check
// Elements from plain calls: no HTML strings anywhere, so nothing a model writes can become markup and a page's
// Trusted Types policy has nothing to refuse.

/** @typedef {Node | string | null | undefined | false} Child */

/** `on` holds listeners; names with a dash and `role`, `part`, `slot`, `for`, `class` are attributes, the rest properties.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, any>} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]} */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (name.includes('-') || ['role', 'part', 'slot', 'for', 'class'].includes(name)) {
      element.setAttribute(name, value);
    } else {
      /** @type {any} */ (element)[name] = value;
    }
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
