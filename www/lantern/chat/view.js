// @ts-check
// What <lantern-chat> looks like: builds its frame, and draws what element.js tells it. Decides nothing.

import { DemoView } from '../core/demo-view.js';
import { h, icon, ICONS } from '../core/dom.js';
import * as format from '../core/format.js';
import { droppable, field, instrument, slider } from '../core/parts.js';
import { OPENINGS, QUESTIONS } from './embedded.js';
import { ModelsPanel } from './models.js';
import { Options } from './options.js';

/** @import { Retry } from '../core/demo-element.js' */
/** @import { State } from '../core/element.js' */
/** @import { Failure } from '../core/protocol.js' */
/** @import { Known, ModelInfo } from './messages.js' */
/** @import { ModelActions } from './models.js' */

/** @typedef {object} Actions
 * @property {(text: string) => void} submit
 * @property {() => void} stop
 * @property {() => void} reset
 * @property {(file: File) => void} openFile
 * @property {() => void} embedded
 * @property {ModelActions} models */

/** @typedef {object} Numbers
 * @property {number} [tokensPerSecond]
 * @property {number} [firstTokenMs]
 * @property {number} [bytesPerToken]
 * @property {number} [held] tokens in the model's memory
 * @property {number} [seed] */

/** How a text is written: in turns, or on and on. @typedef {'conversation' | 'story'} Kind */

/** The words for each kind, and for what may be either.
 * @type {Record<Kind | 'unknown', {name: string, again: string, send: string, field: string, begin: string}>} */
const WORDS = {
  conversation: { name: 'Conversation', again: 'New conversation', send: 'Send', field: 'Your message', begin: 'Ask something…' },
  story: { name: 'Story', again: 'New story', send: 'Continue', field: 'Your words', begin: 'Begin a story…' },
  unknown: { name: 'Text', again: 'Start anew', send: 'Send', field: 'Your words', begin: 'Write something…' },
};

export class ChatView extends DemoView {
  /** What kind of model it is, where anything says so by now. @type {Known | null} */ #known = null;
  /** What the visitor wants of a model that does both. @type {Kind} */ #wish = 'conversation';
  /** Of the text that is begun; null while nobody knows. @type {Kind | null} */ #begunAs = null;
  #own = true;
  /** What came with the last words. @type {ChildNode[]} */ #latest = [];

  /** @param {Actions} actions */
  constructor(actions) {
    super(actions);
    this.actions = actions;
    this.begun = false;
    /** Words are on the page whose answer is not whole. */ this.unanswered = false;
    /** @type {State} */ this.state = 'idle';
    /** @type {HTMLElement | null} */ this.live = null;

    this.image = h('img', { part: 'poster', alt: '', hidden: true });
    // The page's own poster speaks of the page's own model; one that the visitor chose gets a greeting that fits it.
    this.poster = h('slot', { name: 'poster' }, greeting('Ask, or begin a story…',
      'A small language model answers here, on your own device. Nothing you type leaves this page.'));
    this.headline = h('p', { class: 'headline' });
    this.chosen = h('div', {}, this.headline,
      h('p', { class: 'about', textContent: 'The model you chose writes here, on your own device. Nothing you type leaves this page.' }));
    this.questions = this.#tries('Ask', 'question', QUESTIONS, 'conversation');
    this.openings = this.#tries('Begin a story', 'opening', OPENINGS, 'story');
    this.cost = h('p', { class: 'cost', hidden: true });
    this.empty = h('div', { class: 'empty' }, this.image, this.poster, this.chosen, h('div', { class: 'suggestions' }, this.questions, this.openings), this.cost);
    this.turns = h('div', { class: 'turns', part: 'text' });
    this.scroller = h('div', { class: 'scroller', role: 'region', tabIndex: 0 },
      this.empty, this.turns, this.note, this.failure.root);

    this.input = h('textarea', {
      part: 'input', rows: 1, autocomplete: 'off', 'aria-describedby': 'keys',
      on: { keydown: (event) => this.#key(event), input: () => this.#buttons() },
    });
    this.send = h('button', { type: 'submit', class: 'button primary', part: 'send' });
    this.halt = h('button', { type: 'button', class: 'button', part: 'stop', hidden: true, on: { click: actions.stop } }, icon(ICONS.stop), 'Stop');
    this.composer = h('form', { class: 'composer', part: 'composer', on: { submit: (/** @type {SubmitEvent} */ event) => this.#submit(event) } },
      this.input, this.send, this.halt);
    this.choices = { conversation: choice('Ask', 'conversation'), story: choice('Begin a story', 'story') };
    this.kinds = h('fieldset', { class: 'kinds', part: 'kinds', on: { change: () => this.#chose() } },
      h('legend', { class: 'unseen', textContent: 'What to do' }), this.choices.conversation.label, this.choices.story.label);
    this.keys = h('p', { class: 'keys', id: 'keys', textContent: 'Enter to send, Shift+Enter for a new line, Esc to stop' });

    this.modelName = h('p', { class: 'model-name' });
    this.modelFacts = h('p', { class: 'facts' });
    this.picker = h('input', { type: 'file', accept: '.gguf', hidden: true, on: { change: () => this.#picked() } });
    this.embedded = h('button', { type: 'button', class: 'quiet', textContent: 'Back to the embedded model', hidden: true, on: { click: actions.embedded } });
    this.models = new ModelsPanel(actions.models);
    this.temperature = slider('temperature', 0, 1.5, 0.01, (value) => (value === 0 ? 'none' : value.toFixed(2)));
    this.maxTokens = slider('max-tokens', 1, 512, 1, (value) => `${value} tokens at most`);
    this.seed = h('input', { type: 'text', inputMode: 'numeric', id: 'seed', part: 'seed', placeholder: 'new each time', autocomplete: 'off', pattern: '[0-9]*' });
    this.options = new Options();
    this.again = h('button', { type: 'button', class: 'button', part: 'reset', on: { click: () => this.#startAnew() } });
    this.controls = h('section', { class: 'controls', part: 'controls', 'aria-label': 'Controls' },
      h('div', { class: 'field' },
        h('p', { class: 'label', textContent: 'Model' }), this.modelName, this.modelFacts,
        h('div', { class: 'row' },
          h('button', { type: 'button', class: 'button', part: 'models', textContent: 'Choose a model…', 'aria-haspopup': 'dialog', on: { click: () => this.models.open() } }),
          h('button', { type: 'button', class: 'button', part: 'open', textContent: 'Open a GGUF file…', on: { click: () => this.picker.click() } }), this.picker),
        this.embedded,
      ),
      field('Surprise', this.temperature), field('Length', this.maxTokens),
      h('div', { class: 'field' }, h('label', { for: 'seed', textContent: 'Seed' }), this.seed,
        h('p', { class: 'facts', textContent: 'The same seed and words give the same text.' })),
      this.options.root, this.again,
    );

    this.speed = instrument('Speed');
    this.reads = instrument('Reads per token');
    this.context = instrument('Text');
    this.frame.append(
      h('div', { class: 'stage' }, this.scroller, this.wait.root, h('div', { class: 'foot' }, this.kinds, this.composer, this.keys)),
      this.controls, this.row(this.speed, this.where, this.reads, this.memory, this.context), this.models.root);
    droppable(this.frame, 'Drop a GGUF file to use it here', ([file]) => actions.openFile(file));
    this.know(null);
    this.numbers({}, null);
  }

  /** @param {string} label @param {string} part @param {string[]} texts @param {Kind} kind */
  #tries(label, part, texts, kind) {
    const send = (/** @type {string} */ text) => {
      if (this.unanswered) return;
      this.wish(kind);
      this.actions.submit(text);
    };
    return h('div', { class: 'tries', 'data-kind': kind }, h('p', { class: 'label', textContent: label }),
      h('ul', { class: 'chips', 'aria-label': `${label}: try one` }, ...texts.map((text) =>
        h('li', {}, h('button', { type: 'button', class: 'chip', part, textContent: text, on: { click: () => send(text) } })))));
  }

  /** Which kind the text is that is begun, or would be by the next words; null while nobody knows.
   * @returns {Kind | null} */
  get kind() {
    if (this.begun) return this.#begunAs;
    if (!this.#known) return null;
    return this.#known.chat ? this.#wish : 'story';
  }

  /** What words are to a model that does both. Holds from the next text on. @param {Kind} kind */
  wish(kind) {
    this.choices[kind].input.checked = true;
    this.#chose();
  }

  #chose() {
    this.#wish = this.choices.story.input.checked ? 'story' : 'conversation';
    this.#words();
  }

  /** Which model it is, or will be. @param {string} name @param {string} facts
   * @param {{own: boolean, chosen: boolean}} whose the page's own, or one that the visitor chose and may go back from */
  naming(name, facts, { own, chosen }) {
    this.#own = own;
    this.modelName.textContent = name;
    this.modelFacts.textContent = facts;
    this.embedded.hidden = !chosen;
    this.poster.hidden = chosen;
    this.chosen.hidden = !chosen;
    this.questions.hidden = !own;
    this.#words();
  }

  /** What kind of model it is, as soon as anything says so. Words that were sent before are drawn as what they are from here on.
   * @param {Known | null} known */
  know(known) {
    this.#known = known;
    if (known && this.begun && !this.#begunAs) {
      this.#begunAs = known.chat ? this.#wish : 'story';
      this.#makeRoom();
    }
    this.options.know(known);
    this.#words();
  }

  /** All words that depend on the kind of text. */
  #words() {
    const { name, again, begin } = WORDS[this.kind ?? 'unknown'];
    this.scroller.setAttribute('aria-label', name);
    this.context.label.textContent = name;
    this.again.textContent = again;
    this.headline.textContent = begin;
    this.empty.dataset.kind = this.kind ?? 'unknown';
    this.kinds.hidden = this.begun || !this.#known?.chat;
    this.openings.hidden = !this.#own && this.#known?.chat !== false;
    this.#buttons();
  }

  /** @param {State} state */
  setState(state) {
    this.state = state;
    super.setState(state);
    if (state !== 'idle') this.cost.hidden = true;
    this.#buttons();
  }

  #buttons() {
    const running = this.state === 'running' || this.state === 'recovering';
    const hadFocus = this.halt.getRootNode() instanceof ShadowRoot
      && /** @type {ShadowRoot} */ (this.halt.getRootNode()).activeElement === (running ? this.send : this.halt);
    this.halt.hidden = !running;
    this.send.hidden = running;
    if (hadFocus) (running ? this.halt : this.input).focus();
    const { send, field, begin } = WORDS[this.kind ?? 'unknown'];
    const goesOn = this.begun && this.kind === 'story';
    this.send.textContent = send;
    // One text at a time: what is typed while words wait stays in the field.
    this.send.disabled = this.unanswered || (!this.input.value.trim() && !goesOn);
    this.input.placeholder = goesOn ? 'Add words…' : begin;
    this.input.setAttribute('aria-label', field);
    this.again.disabled = !this.begun;
  }

  /** Nothing is loaded before it is asked for: what asking costs. @param {string} words */
  offer(words) {
    this.cost.textContent = words;
    this.cost.hidden = this.state !== 'idle';
  }

  /** The visitor's words appear, and a place for the model's.
   * @param {string} text */
  begin(text) {
    this.settle();
    this.#begunAs = this.kind;
    this.begun = true;
    this.unanswered = true;
    this.empty.hidden = true;
    this.note.replaceChildren();
    this.#latest = [];
    // Words lie where they lie in either kind of text: what becomes known later moves nothing.
    const mine = text && h('span', { class: 'mine', part: 'prompt' }, h('span', { class: 'unseen', textContent: 'You: ' }), text);
    const line = this.#line();
    if (mine) this.#add(line, line.hasChildNodes() && document.createTextNode(' '), mine);
    if (this.#begunAs) this.#makeRoom();
    this.#words();
    this.#follow();
  }

  /** Where words go: a story is one flow, a conversation has a line for each turn. */
  #line() {
    const last = /** @type {HTMLElement | null} */ (this.turns.lastElementChild);
    return (this.#begunAs === 'story' && last) || this.turns.appendChild(h('p', { class: 'turn' }));
  }

  /** Room for what the model writes: behind the words, or under them. */
  #makeRoom() {
    this.live = h('span', { class: 'theirs live', part: 'completion' });
    const story = this.#begunAs === 'story';
    if (!story) this.turns.lastElementChild?.classList.add('asked');
    this.#add(this.#line(), h('span', { class: 'unseen', textContent: 'Lantern: ' }), this.live);
  }

  /** @param {HTMLElement} line @param {(ChildNode | false)[]} nodes */
  #add(line, ...nodes) {
    const added = nodes.filter((node) => node !== false);
    line.append(...added);
    this.#latest.push(...added);
  }

  #follow() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** @param {string} text */
  token(text) {
    if (!this.live) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const following = scrollHeight - scrollTop - clientHeight < 48;
    // In a conversation the first piece often brings the space that would follow other words.
    const piece = this.#begunAs === 'story' || this.live.hasChildNodes() ? text : text.trimStart();
    this.live.append(h('span', { class: 'token', textContent: piece }));
    if (following) this.#follow();
  }

  /** The answer is whole: no caret, no colours. */
  settle() {
    this.unanswered = false;
    if (this.live) {
      this.live.classList.remove('live');
      this.live.textContent = this.live.textContent;
      this.live = null;
    }
    this.#buttons();
  }

  /** Takes the last words and what came of them off the page: they are to be asked again. */
  unbegin() {
    this.settle();
    for (const node of this.#latest) node.remove();
    this.#latest = [];
    for (const line of [...this.turns.children]) if (!line.hasChildNodes()) line.remove();
    if (!this.turns.hasChildNodes()) this.clear();
  }

  /** A quiet line under the text. @param {string} text */
  say(text) {
    super.say(text);
    this.#follow();
  }

  /** @param {Failure} failure @param {string} details @param {Retry | null} retry */
  fail(failure, details, retry) {
    super.fail(failure, details, retry);
    this.#follow();
  }

  /** Words that were not answered, to be sent again; unless others are in the field by now. @param {string} text */
  giveBack(text) {
    this.clear();
    this.input.value ||= text;
    this.#buttons();
  }

  clear() {
    this.begun = false;
    this.settle();
    this.turns.replaceChildren();
    this.note.replaceChildren();
    this.empty.hidden = false;
    this.#words();
  }

  /** @param {Numbers} numbers @param {ModelInfo | null} model */
  numbers(numbers, model) {
    const { tokensPerSecond: rate, firstTokenMs, bytesPerToken, held, seed } = numbers;
    this.speed.set(rate ? `${format.short(rate)} tokens/s` : '—', firstTokenMs ? `first after ${format.milliseconds(firstTokenMs)}` : 'measured as it runs');
    this.reads.set(bytesPerToken ? format.bytes(bytesPerToken) : '—', bytesPerToken && rate ? `${format.bytes(bytesPerToken * rate)}/s in all` : 'weights and cache');
    this.context.set(model ? `${held ?? 0} of ${model.context.toLocaleString('en')}` : '—', seed === undefined ? "tokens in the model's memory" : `tokens, seed ${seed}`);
  }

  #startAnew() {
    this.actions.reset();
    this.input.focus();
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    if (this.send.disabled || this.send.hidden) return;
    this.actions.submit(this.takeInput());
  }

  /** What the visitor wrote, leaving the field empty. */
  takeInput() {
    const text = this.input.value.trim();
    this.input.value = '';
    return text;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.composer.requestSubmit();
  }

  #picked() {
    const file = this.picker.files?.[0];
    this.picker.value = '';
    if (file) this.actions.openFile(file);
  }

}

/** @param {string} headline @param {string} about */
function greeting(headline, about) {
  return h('div', {}, h('p', { class: 'headline', textContent: headline }), h('p', { class: 'about', textContent: about }));
}

/** One of the kinds of text to choose. @param {string} text @param {Kind} kind */
function choice(text, kind) {
  const input = h('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'conversation' });
  return { input, label: h('label', {}, input, h('span', { textContent: text })) };
}
