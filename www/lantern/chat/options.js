// @ts-check
// The finer controls of <lantern-chat>, folded away until they are asked for: which of the next tokens may be drawn, where an
// answer ends, what is forgotten when the model's memory is full, and what a model that converses is told beforehand.

import { h } from '../core/dom.js';
import { field, slider } from '../core/parts.js';

/** @import { GenerateRequest, Known } from './messages.js' */

/** Attributes of the element that these controls follow, and what they are without. */
const DEFAULTS = { 'top-k': 40, 'top-p': 1, 'min-p': 0, 'repeat-penalty': 1 };

const percent = (/** @type {number} */ share) => `${Math.round(100 * share)} %`;

export class Options {
  static attributes = [...Object.keys(DEFAULTS), 'stop', 'overflow', 'instructions'];

  #sliders = {
    'top-k': slider('top-k', 0, 200, 1, (value) => (value === 0 ? 'all' : `the ${value} likeliest`)),
    'top-p': slider('top-p', 0.05, 1, 0.01, (value) => (value === 1 ? 'all' : `those that hold ${percent(value)}`)),
    'min-p': slider('min-p', 0, 0.5, 0.01, (value) => (value === 0 ? 'all' : `from ${percent(value)} of the likeliest`)),
    'repeat-penalty': slider('repeat-penalty', 1, 1.5, 0.01, (value) => (value === 1 ? 'none' : value.toFixed(2))),
  };
  #stop = h('textarea', { id: 'stop-at', part: 'stop-at', rows: 1, spellcheck: false, placeholder: 'one text a line', 'aria-describedby': 'stop-note' });
  #overflow = h('select', { id: 'overflow', part: 'overflow' },
    h('option', { value: 'stop', textContent: 'End the answer' }),
    h('option', { value: 'slide', textContent: 'Forget the oldest' }));
  #instructions = h('textarea', { id: 'instructions', part: 'instructions', rows: 1, placeholder: 'You answer in one sentence.', 'aria-describedby': 'instructions-note' });
  #unheard = h('p', { class: 'facts', id: 'instructions-note' });
  #told = h('div', { class: 'field', hidden: true }, h('label', { for: 'instructions', textContent: 'What it is told first' }), this.#instructions, this.#unheard);

  root = h('details', { class: 'finer', part: 'finer' },
    h('summary', { textContent: 'Finer control' }),
    h('div', { class: 'fields' },
      this.#told,
      field('Candidates (top-k)', this.#sliders['top-k']),
      field('Candidates (top-p)', this.#sliders['top-p']),
      field('Candidates (min-p)', this.#sliders['min-p']),
      field('Against repetition', this.#sliders['repeat-penalty']),
      h('div', { class: 'field' }, h('label', { for: 'stop-at', textContent: 'Ends before' }), this.#stop,
        h('p', { class: 'facts', id: 'stop-note', textContent: 'An answer stops where it would write one of these.' })),
      h('div', { class: 'field' }, h('label', { for: 'overflow', textContent: 'When its memory is full' }), this.#overflow)));

  constructor() {
    for (const name of Options.attributes) this.follow(name, null);
  }

  /** An attribute of the element changed. @param {string} name @param {string | null} value */
  follow(name, value) {
    if (name === 'stop') this.#stop.value = value ?? '';
    else if (name === 'instructions') this.#instructions.value = value ?? '';
    else if (name === 'overflow') this.#overflow.value = value === 'slide' ? 'slide' : 'stop';
    else {
      const known = /** @type {keyof typeof DEFAULTS} */ (name);
      this.#sliders[known].value = Number(value ?? DEFAULTS[known]);
    }
  }

  /** A model that converses can be told something, unless its template leaves that out; one that goes on with a text cannot.
   * @param {Known | null} known */
  know(known) {
    this.#told.hidden = !known?.chat;
    this.#instructions.disabled = known?.instructions === false;
    this.#unheard.textContent = this.#instructions.disabled ? 'This model was not taught to follow instructions: its template leaves them out.' : '';
  }

  get instructions() {
    return this.#instructions.value.trim();
  }

  /** @returns {Pick<GenerateRequest, 'topK' | 'topP' | 'minP' | 'repeatPenalty' | 'stop' | 'overflow'>} */
  get chosen() {
    return {
      topK: this.#sliders['top-k'].value,
      topP: this.#sliders['top-p'].value,
      minP: this.#sliders['min-p'].value,
      repeatPenalty: this.#sliders['repeat-penalty'].value,
      stop: this.#stop.value.split('\n').filter((line) => line !== ''),
      overflow: this.#overflow.value === 'slide' ? 'slide' : 'stop',
    };
  }
}
