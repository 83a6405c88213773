// @ts-check
// The models one can choose from: what each is good for, what it costs to fetch and to run here, what of it is on this device, and
// how to be rid of it. Draws what element.js gets from the engine, and decides nothing.

import { announce } from '../core/announcer.js';
import { h, icon, ICONS } from '../core/dom.js';
import * as format from '../core/format.js';
import { sentence, warning } from '../core/parts.js';
import { CANCELLED, toFailure } from '../core/protocol.js';

/** @import { ListedModel, ModelList } from '../core/protocol.js' */

/** @typedef {object} ModelActions
 * @property {(signal: AbortSignal) => Promise<ModelList>} list
 * @property {(model: string, name: string) => void} use by its name in the catalogue, or by its address; and what people call it
 * @property {(key: string) => Promise<void>} remove */

export class ModelsPanel {
  #actions;
  /** @type {AbortController | null} */ #asking = null;
  /** The model in use, or on its way: its name in the catalogue, or its address. */
  used = '';
  /** It is loaded. */
  ready = false;

  #list = h('ul', { class: 'models' });
  #state = h('p', { class: 'facts' });
  #notice = h('div', { class: 'notice inset', hidden: true });
  #total = h('p', { class: 'facts' });
  #address = h('input', {
    type: 'text', inputMode: 'url', id: 'address', part: 'address', autocomplete: 'off', spellcheck: false,
    placeholder: 'https://…/model.gguf', 'aria-describedby': 'address-note',
  });
  #note = h('p', { class: 'facts', id: 'address-note' });

  /** @param {ModelActions} actions */
  constructor(actions) {
    this.#actions = actions;
    const close = h('button', { type: 'button', class: 'quiet', part: 'models-close', textContent: 'Close', on: { click: () => this.root.close() } });
    const fetching = h('form', { class: 'address', on: { submit: (/** @type {SubmitEvent} */ event) => this.#submit(event) } },
      h('label', { for: 'address', textContent: 'From another address' }),
      h('div', { class: 'row' }, this.#address, h('button', { type: 'submit', class: 'button', textContent: 'Fetch' })),
      this.#note);
    this.root = h('dialog', { class: 'panel', part: 'models-panel', 'aria-labelledby': 'models-title', on: { close: () => this.#asking?.abort() } },
      h('div', { class: 'row between head' }, h('h2', { id: 'models-title', textContent: 'Models' }), close),
      this.#notice, this.#state, this.#list, fetching, this.#total);
    this.#plain();
  }

  #plain() {
    this.#note.textContent = 'Any Llama in GGUF. It comes straight from there, is kept on this device, and what you write stays here.';
    this.#note.classList.remove('wrong');
    this.#address.removeAttribute('aria-invalid');
  }

  open() {
    this.#plain();
    this.root.showModal();
    void this.#refresh();
  }

  async #refresh() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    if (!this.#list.hasChildNodes()) this.#state.textContent = 'Looking at what is here…';
    try {
      const list = await this.#actions.list(asking.signal);
      this.#show(list);
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (failure.code === CANCELLED) return;
      this.#list.replaceChildren();
      this.#state.textContent = `${sentence(failure.cause)} ${sentence(failure.remedy)}`;
      announce(this.#state.textContent);
    }
  }

  /** @param {ModelList} list */
  #show({ models, kind, used, free, notice }) {
    this.#state.textContent = '';
    this.#notice.hidden = !notice;
    this.#notice.replaceChildren(notice ? warning(notice) : '');
    // Another demo's is listed where it takes room here.
    const shown = models.filter(({ demo, stored }) => demo === null || demo === 'chat' || stored > 0);
    const focused = this.#list.querySelector(':focus')?.getAttribute('aria-label');
    this.#list.replaceChildren(...shown.map((model) => this.#row(model)));
    // A list that comes while somebody is in it with the keyboard leaves them where they were.
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
    const room = free === null || kind === 'memory' ? '' : `, room for ${format.bytes(free)} more`;
    this.#total.textContent = used === 0 ? 'No model is stored on this device.' : `Models on this device: ${format.bytes(used)}${room}.`;
  }

  /** @param {ListedModel} model */
  #row(model) {
    const name = model.id ?? model.url;
    const used = name !== null && name === this.used;
    const size = model.bytes === 0 ? '' : `${model.exact ? '' : 'About '}${format.bytes(model.bytes)}`;
    const here = model.whole ? `On this device, ${format.bytes(model.stored)}`
      : model.stored > 0 ? `${model.bytes ? format.bytesOf(model.stored, model.bytes) : format.bytes(model.stored)} on this device`
      : size && (model.site ? `On this site, ${size}` : `${size} to fetch`);
    const facts = [here, model.needs ? `${format.bytes(model.needs)} of memory` : ''].filter(Boolean).join('\u00a0· ');
    const licence = model.licence
      && h('a', { href: model.licence.url, target: '_blank', rel: 'noreferrer', textContent: model.licence.name, 'aria-label': `${model.licence.name}: licence of ${model.name}` });
    // Where it is not offered, what to do instead is the rest of the list.
    const reason = model.reason && h('p', { class: 'reason' }, icon(ICONS.warning), ` ${sentence(model.reason.cause)} `,
      model.verdict === 'doubtful' && h('span', { textContent: sentence(model.reason.remedy) }));
    return h('li', { class: model.stored > 0 ? 'here' : '', 'data-model': model.id ?? model.key },
      h('div', { class: 'what' },
        h('h3', { textContent: model.name }),
        model.about && h('p', { textContent: model.about }),
        h('p', { class: 'facts' }, facts, licence && '\u00a0· ', licence),
        reason),
      h('div', { class: 'acts' },
        used ? h('p', { class: 'used', textContent: this.ready ? 'In use' : 'On its way' }) : this.#choice(model, name),
        model.stored > 0 && (this.ready || !used) && h('button', {
          type: 'button', class: 'quiet', textContent: 'Remove', 'aria-label': `Remove ${model.name} from this device`,
          on: { click: (event) => void this.#remove(model, /** @type {HTMLButtonElement} */ (event.currentTarget)) },
        })));
  }

  /** The way to it; where it may not work, the first click says why once more.
   * @param {ListedModel} model @param {string | null} name */
  #choice(model, name) {
    if (name === null || model.verdict === 'no' || (model.demo !== null && model.demo !== 'chat')) return null;
    const label = model.whole ? 'Use' : model.stored > 0 ? 'Resume' : 'Download';
    const button = h('button', { type: 'button', class: 'button', textContent: label, 'aria-label': `${label} ${model.name}` });
    let warned = model.verdict === 'fits';
    button.addEventListener('click', () => {
      if (warned) return this.#use(name, model.name);
      warned = true;
      button.textContent = 'Try anyway';
      button.setAttribute('aria-label', `Try ${model.name} anyway`);
      button.closest('li')?.classList.add('warned');
      if (model.reason) announce(`${sentence(model.reason.cause)} ${sentence(model.reason.remedy)}`);
    });
    return button;
  }

  /** @param {string} model @param {string} name */
  #use(model, name) {
    this.root.close();
    this.#actions.use(model, name);
  }

  /** @param {ListedModel} model @param {HTMLButtonElement} button */
  async #remove(model, button) {
    button.disabled = true;
    try {
      await this.#actions.remove(model.key);
      announce(`${model.name} is removed from this device`);
    } catch (thrown) {
      const failure = toFailure(thrown);
      const words = warning(failure);
      words.className = 'reason';
      const what = button.closest('li')?.querySelector('.what');
      what?.querySelector('.reason')?.remove();
      what?.append(words);
      announce(words.textContent ?? '');
      button.disabled = false;
      button.focus();
      return;
    }
    await this.#refresh();
    // What had the focus is gone; its row, or the panel, takes it.
    const row = /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-model="${CSS.escape(model.id ?? model.key)}"] button`));
    (row ?? this.#address).focus();
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    const address = this.#address.value.trim();
    if (!URL.canParse(address)) return this.wrong('Write an address that begins with https:// and ends in .gguf.');
    this.#address.value = '';
    const url = new URL(address);
    this.#use(url.href, url.pathname.split('/').at(-1) || url.host);
  }

  /** @param {string} words what is wrong with the address */
  wrong(words) {
    this.#note.textContent = words;
    this.#note.classList.add('wrong');
    this.#address.setAttribute('aria-invalid', 'true');
    this.#address.focus();
    announce(words);
  }
}
