// @ts-check
// How to turn WebGPU on, for those whose browser has it behind a switch.

import { h } from './dom.js';

/** @import { Failure } from './protocol.js' */

const FLAG = 'flags/#enable-unsafe-webgpu';

/** Steps that fit the notice, or nothing when none would help.
 * @param {Failure} notice @returns {HTMLElement | null} */
export function turnOnWebGpu(notice) {
  if (notice.code !== 'gpu.absent' && notice.code !== 'gpu.adapter') return null;
  const steps = globalThis.isSecureContext
    ? [
        h('li', {}, 'Chrome or Edge on Windows on Arm, such as a Snapdragon laptop: open ', h('code', { textContent: `chrome://${FLAG}` }),
          ' or ', h('code', { textContent: `edge://${FLAG}` }), ', choose Enabled, and restart the browser.'),
        h('li', {}, 'Elsewhere: update the browser, and see that graphics acceleration is on in its system settings.'),
      ]
    : [h('li', {}, 'Browsers offer WebGPU only to pages served over HTTPS or from localhost: open this page that way.')];
  return h('details', {}, h('summary', { textContent: 'How to turn WebGPU on' }), h('ul', {}, ...steps));
}
