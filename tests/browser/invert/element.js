// @ts-check
// <lantern-invert>: a picture's negative.

import { DemoElement } from '../core/demo-element.js';
import { DemoView } from '../core/demo-view.js';
import { h } from '../core/dom.js';
import { InvertSession } from './session.js';

/** @extends {DemoElement<InvertSession, DemoView>} */
export class LanternInvert extends DemoElement {
  #canvas = h('canvas', { 'aria-label': 'The negative' });

  constructor() {
    super(InvertSession, new URL('../core/parts.css', import.meta.url));
  }

  draw() {
    const view = new DemoView({ stop: () => void this.stop() });
    view.frame.append(this.#canvas, view.wait.root, view.failure.root, view.note, view.row(view.where, view.memory));
    return view;
  }

  /** @param {ImageData} picture @returns {Promise<ImageData>} */
  invert(picture) {
    return this.perform(async (signal) => {
      const session = await this.load(signal);
      const negative = await this.running(() => session.invert(picture, { signal, onProgress: this.progress.bind(this) }));
      Object.assign(this.#canvas, { width: negative.width, height: negative.height });
      this.#canvas.getContext('2d')?.putImageData(negative, 0, 0);
      this.setState('ready');
      return negative;
    });
  }
}

customElements.define('lantern-invert', LanternInvert);
