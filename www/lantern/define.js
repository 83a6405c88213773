// @ts-check
// The classes, registering nothing: for those who want another tag name.

export { LanternAutoencode } from './autoencode/element.js';
export { LanternChat } from './chat/element.js';
export { sharedEngine } from './core/engine.js';
