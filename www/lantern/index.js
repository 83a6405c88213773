// @ts-check
// Registers every element.

import './autoencode.js';
import './chat.js';

export * from './define.js';
