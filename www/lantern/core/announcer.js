// @ts-check
// One voice for screen readers, shared by every element of the page: two live regions would talk over each other.

/** @type {HTMLElement | undefined} */
let region;

/** @param {string} text */
export function announce(text) {
  if (!region?.isConnected) {
    region = document.createElement('div');
    region.setAttribute('role', 'status');
    region.dataset.lantern = 'announcer';
    // Out of sight, not out of the accessibility tree. By properties: a page's CSP may forbid style attributes.
    Object.assign(region.style, {
      position: 'fixed', inlineSize: '1px', blockSize: '1px', overflow: 'hidden', clipPath: 'inset(50%)', whiteSpace: 'nowrap',
    });
    document.body.append(region);
  }
  region.textContent = text;
}
