// @ts-check
// Registers <lantern-autoencode>.

import { LanternAutoencode } from './autoencode/element.js';

if (globalThis.customElements && !customElements.get('lantern-autoencode')) customElements.define('lantern-autoencode', LanternAutoencode);

export { LanternAutoencode };
