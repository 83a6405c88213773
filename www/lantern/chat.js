// @ts-check
// Registers <lantern-chat>.

import { LanternChat } from './chat/element.js';

if (globalThis.customElements && !customElements.get('lantern-chat')) customElements.define('lantern-chat', LanternChat);

export { LanternChat };
