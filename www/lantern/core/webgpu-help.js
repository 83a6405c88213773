// @ts-check
// How to turn WebGPU on, for those whose browser has it behind a switch.

import { h } from './dom.js';

/** @import { Failure } from './protocol.js' */

const FLAG = 'flags/#enable-unsafe-webgpu';

function flag() {
  return [h('code', { textContent: `chrome://${FLAG}` }), ' or ', h('code', { textContent: `edge://${FLAG}` }), ', choose Enabled, and restart the browser.'];
}

function noWebGpu() {
  return [
    h('li', {}, 'Chrome or Edge on Windows on Arm, such as a Snapdragon laptop: open ', ...flag()),
    h('li', {}, 'Elsewhere: update the browser, and see that graphics acceleration is on in its system settings.'),
  ];
}

/** The browser has it, and gives no card. */
function noCard() {
  return [
    h('li', {}, 'Its driver may be missing or too old: update the graphics driver and the browser, and restart both.'),
    h('li', {}, 'The browser may have blocked it: see that graphics acceleration is on in the browser’s system settings. ', h('code', { textContent: 'chrome://gpu' }),
      ' or ', h('code', { textContent: 'edge://gpu' }), ' says what is blocked, and why.'),
    h('li', {}, 'It may lie behind a switch, as on Windows on Arm (such as a Snapdragon laptop) and on Linux: in Chrome or Edge open ', ...flag()),
  ];
}

/** Steps that fit the notice, or nothing when none would help.
 * @param {Failure} notice @returns {HTMLElement | null} */
export function turnOnWebGpu(notice) {
  if (notice.code !== 'gpu.absent' && notice.code !== 'gpu.adapter') return null;
  const steps = !globalThis.isSecureContext
    ? [h('li', {}, 'Browsers offer WebGPU only to pages served over HTTPS or from localhost: open this page that way.')]
    : notice.code === 'gpu.adapter' ? noCard() : noWebGpu();
  return h('details', {}, h('summary', { textContent: 'How to turn WebGPU on' }), h('ul', {}, ...steps));
}
