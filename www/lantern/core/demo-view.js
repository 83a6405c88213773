// @ts-check
// What every demo looks like apart from what it is for: the frame, the wait, the quiet line, what went wrong, and the row of
// measured values. A demo's own view puts these where they belong and adds its own. Draws what it is told, decides nothing.

import { h } from './dom.js';
import { FailurePanel, Notice, Wait, instrument, showDevice, showMemory } from './parts.js';

/** @import { Retry } from './demo-element.js' */
/** @import { State } from './element.js' */
/** @import { Instrument, MemoryUse } from './parts.js' */
/** @import { DeviceInfo, Failure } from './protocol.js' */

/** States in which there is something to wait for. @type {State[]} */
const BUSY = ['loading', 'running', 'recovering'];

export class DemoView {
  frame = h('div', { class: 'frame', part: 'frame' });
  note = h('p', { class: 'note', part: 'note' });
  failure = new FailurePanel();
  where = instrument('Runs on');
  memory = instrument('Memory');
  #notice = new Notice();

  /** @param {{stop: () => void}} actions */
  constructor({ stop }) {
    this.wait = new Wait(stop);
    this.device(null);
    this.memoryUse(null);
  }

  /** A row of measured values; above it, what there is to know of the device and the files. @param {Instrument[]} shown */
  row(...shown) {
    return h('div', { class: 'instruments', part: 'instruments' }, this.#notice.root, h('dl', {}, ...shown.map(({ root }) => root)));
  }

  /** @param {State} state */
  setState(state) {
    this.frame.dataset.state = state;
    if (!BUSY.includes(state)) this.wait.hide();
    if (state !== 'failed') this.failure.hide();
  }

  /** A quiet line. @param {string} text */
  say(text) {
    this.note.textContent = text;
  }

  /** @param {Failure} failure @param {string} details @param {Retry | null} retry */
  fail(failure, details, retry) {
    this.say('');
    this.failure.show(failure, details, retry);
  }

  /** @param {DeviceInfo | null} info @param {(Failure | null | undefined)[]} [more] what else there is to know of the model or its files */
  device(info, more = []) {
    showDevice(this.where, info);
    this.#notice.show(info, more);
  }

  /** @param {MemoryUse | null} use */
  memoryUse(use) {
    showMemory(this.memory, use);
  }

  /** The whole frame gives way to the poster and a sentence where nothing of it could work. @param {string} text */
  impossible(text) {
    this.frame.replaceChildren(h('div', { class: 'impossible' }, h('slot', { name: 'poster' }),
      h('slot', { name: 'fallback' }, h('p', { class: 'about', textContent: text }))));
  }
}
