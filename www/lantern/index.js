// @ts-check
// Registers every element.

import './chat.js';

export * from './define.js';
