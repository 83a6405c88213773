// @ts-check
// One element's work. The picture stays with the page, so that it can be sent again to another Worker.

import { Session } from '../core/session.js';

/** @import { Hooks } from '../core/session.js' */
/** @import { Invert } from './messages.js' */

/** @extends {Session<Invert>} */
export class InvertSession extends Session {
  static demo = 'invert';

  /** @param {ImageData} picture @param {Hooks<Invert>} hooks @returns {Promise<ImageData>} */
  async invert({ data, width, height }, hooks) {
    const negative = await this.request('invert', () => {
      const pixels = data.slice();
      return { payload: { pixels, width, height }, transfer: [pixels.buffer] };
    }, hooks);
    return new ImageData(negative.pixels, negative.width, negative.height);
  }
}
