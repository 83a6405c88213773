// @ts-check
// What <lantern-chat> looks like: builds its frame, and draws what chat-element.js tells it. Decides nothing.

import { Drawing } from './chat-drawing.js';
import { ModelsPanel } from './chat-models.js';
import { h, icon, ICONS } from './dom.js';
import * as format from './format.js';
import { FailurePanel, Notice, Wait, droppable, field, instrument, showDevice, showMemory, slider } from './parts.js';

/** @import { DeviceInfo, Failure, ModelInfo, Progress, Stats } from './protocol.js' */
/** @import { ModelActions } from './chat-models.js' */
/** @import { Child } from './dom.js' */
/** @import { State } from './element.js' */

/** @typedef {object} Actions
 * @property {(text: string) => void} submit
 * @property {() => void} stop
 * @property {() => void} reset
 * @property {() => void} retry
 * @property {(file: File) => void} openFile
 * @property {() => void} embedded
 * @property {ModelActions} models */

/** @typedef {object} Numbers
 * @property {number} [tokensPerSecond]
 * @property {number} [firstTokenMs]
 * @property {number} [bytesPerToken]
 * @property {number} [held] tokens in the model's memory
 * @property {number} [seed] */

export const OPENINGS = [
  'Once upon a time, a hare and a tortoise',
  'The old woman lit her lantern and walked to the river.',
  'Every night the youngest brother heard a small voice in the well.',
];

/** @type {Record<import('./protocol.js').Stage, string>} */
const WAITS = {
  code: 'Fetching the engine',
  weights: 'Fetching the model',
  upload: 'Placing the weights',
  compile: 'Preparing the kernels',
  run: 'First run',
};

/** How the model's bytes come, where there is more to say than that they do.
 * @type {Partial<Record<import('./protocol.js').How, string>>} */
const HOWS = {
  resumed: 'Fetching the rest of the model',
  changed: 'The file on the server is a new one; fetching it from the start',
  'no-range': 'This server cannot resume; fetching from the start',
  broken: 'The connection broke; trying again in a moment',
  checking: 'Checking what is already here',
  'other-tab': 'Another tab is fetching the model',
  spilled: 'No room to keep the model; fetching it into memory',
  stored: "Reading the model from this device's storage",
};

export class ChatView {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.story = true;
    this.begun = false;
    /** @type {State} */ this.state = 'idle';
    /** @type {HTMLElement | null} */ this.live = null;
    /** @type {Child[]} */ this.latest = [];

    this.image = h('img', { part: 'poster', alt: '', hidden: true });
    // The page's own poster stands for the embedded model; one that converses gets a greeting that fits it.
    this.poster = h('slot', { name: 'poster' }, greeting('Begin a story…',
      'A small language model carries it on, here, on your own device. Nothing you type leaves this page.'));
    this.conversation = greeting('Ask something…',
      'The model you chose answers here, on your own device. Nothing you type leaves this page.');
    this.chips = h('ul', { class: 'chips', 'aria-label': 'Openings to try' }, ...OPENINGS.map((text) =>
      h('li', {}, h('button', { type: 'button', class: 'chip', part: 'opening', textContent: text, on: { click: () => actions.submit(text) } })),
    ));
    this.cost = h('p', { class: 'cost', hidden: true });
    this.empty = h('div', { class: 'empty' },
      this.image, this.poster, this.conversation, this.chips, this.cost,
    );
    this.turns = h('div', { class: 'turns', part: 'text' });
    this.note = h('p', { class: 'note', part: 'note' });
    this.failure = new FailurePanel();
    this.scroller = h('div', { class: 'scroller', role: 'region', 'aria-label': 'Story', tabIndex: 0 },
      this.empty, this.turns, this.note, this.failure.root);

    this.wait = new Wait(WAITS, actions.stop);

    this.input = h('textarea', {
      part: 'input', rows: 1, autocomplete: 'off', 'aria-describedby': 'keys',
      on: { keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event), input: () => this.#buttons() },
    });
    this.send = h('button', { type: 'submit', class: 'button primary', part: 'send' });
    this.halt = h('button', { type: 'button', class: 'button', part: 'stop', hidden: true, on: { click: actions.stop } }, icon(ICONS.stop), 'Stop');
    this.composer = h('form', { class: 'composer', part: 'composer', on: { submit: (/** @type {Event} */ event) => this.#submit(event) } },
      this.input, this.send, this.halt);
    this.keys = h('p', { class: 'keys', id: 'keys', textContent: 'Enter to send, Shift+Enter for a new line, Esc to stop' });

    this.modelName = h('p', { class: 'model-name' });
    this.modelFacts = h('p', { class: 'facts' });
    this.picker = h('input', { type: 'file', accept: '.gguf', hidden: true, on: { change: () => this.#picked() } });
    this.embedded = h('button', { type: 'button', class: 'quiet', textContent: 'Back to the embedded model', hidden: true, on: { click: actions.embedded } });
    this.models = new ModelsPanel(actions.models);
    this.temperature = slider('temperature', 0, 1.5, 0.01, (value) => (value === 0 ? 'none' : value.toFixed(2)));
    this.maxTokens = slider('max-tokens', 1, 512, 1, (value) => `${value} tokens at most`);
    this.seed = h('input', { type: 'text', inputMode: 'numeric', id: 'seed', part: 'seed', placeholder: 'new each time', autocomplete: 'off', pattern: '[0-9]*' });
    this.drawing = new Drawing();
    this.again = h('button', { type: 'button', class: 'button', part: 'reset', textContent: 'New story', on: { click: () => this.#startAnew() } });
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
        h('p', { class: 'facts', textContent: 'The same seed and words give the same story.' })),
      this.drawing.root, this.again,
    );

    this.speed = instrument('Speed');
    this.where = instrument('Runs on');
    this.reads = instrument('Reads per token');
    this.memory = instrument('Memory');
    this.context = instrument('Story');
    this.notice = new Notice();
    this.instruments = h('div', { class: 'instruments', part: 'instruments' }, this.notice.root,
      h('dl', {}, ...[this.speed, this.where, this.reads, this.memory, this.context].map((i) => i.root)));

    this.frame = h('div', { class: 'frame', part: 'frame' },
      h('div', { class: 'stage' }, this.scroller, this.wait.root, h('div', { class: 'foot' }, this.composer, this.keys)),
      this.controls, this.instruments, this.models.root,
    );
    droppable(this.frame, 'Drop a GGUF file to use it here', ([file]) => actions.openFile(file));
    this.words(null);
    this.numbers({}, null);
    this.device(null);
    this.memoryUse(null);
  }

  /** What kind of writing this is, once the model is known: a text to continue, or a conversation.
   * @param {ModelInfo | null} model @param {boolean} [chosen] by the visitor */
  words(model, chosen = false) {
    this.story = !model?.chat;
    this.poster.hidden = !this.story;
    this.conversation.hidden = this.story;
    this.scroller.setAttribute('aria-label', this.story ? 'Story' : 'Conversation');
    this.context.label.textContent = this.story ? 'Story' : 'Conversation';
    this.again.textContent = this.story ? 'New story' : 'New conversation';
    this.chips.hidden = !this.story;
    this.modelName.textContent = model?.name ?? 'Lantern stories';
    this.modelFacts.textContent = model
      ? `${format.parameters(model.parameters)} in ${model.weights}, ${format.bytes(model.bytes)}`
      : 'Made for this page: a few million weights that tell simple stories, and lose the thread.';
    this.embedded.hidden = !chosen;
    this.drawing.converses(!this.story);
    this.#buttons();
  }

  /** A model that is on its way. @param {string} name @param {boolean} chosen by the visitor, who may go back */
  naming(name, chosen) {
    this.modelName.textContent = name;
    this.modelFacts.textContent = '';
    this.embedded.hidden = !chosen;
  }

  /** @param {State} state */
  setState(state) {
    this.state = state;
    this.frame.dataset.state = state;
    if (state !== 'loading' && state !== 'recovering') this.wait.hide();
    if (state !== 'failed') this.failure.hide();
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
    this.send.textContent = this.story ? 'Continue' : 'Send';
    this.send.disabled = !this.input.value.trim() && !(this.story && this.begun);
    this.input.placeholder = !this.story ? 'Ask something…' : this.begun ? 'Add words…' : 'Begin a story…';
    this.input.setAttribute('aria-label', this.story ? 'Your words' : 'Your message');
    this.again.disabled = !this.begun;
  }

  /** Nothing is loaded before it is asked for: what asking costs. @param {string} size */
  offer(size) {
    this.cost.textContent = `Your first words fetch the engine and the model${size}.`;
    this.cost.hidden = this.state !== 'idle';
  }

  /** The visitor's words appear, and a place for the model's.
   * @param {string} text */
  begin(text) {
    this.settle();
    this.empty.hidden = true;
    this.note.replaceChildren();
    this.begun = true;
    const mine = text && h('span', { class: 'mine', part: 'prompt' }, h('span', { class: 'unseen', textContent: 'You: ' }), text);
    this.live = h('span', { class: 'theirs live', part: 'completion' });
    const speaker = h('span', { class: 'unseen', textContent: 'Lantern: ' });
    if (this.story) {
      const flow = this.turns.lastElementChild ?? this.turns.appendChild(h('p', { class: 'flow' }));
      this.latest = [mine && flow.hasChildNodes() ? document.createTextNode(' ') : null, mine, speaker, this.live];
      flow.append(...this.latest.filter((node) => node instanceof Node));
    } else {
      this.latest = [mine && h('p', { class: 'turn asked' }, mine), h('p', { class: 'turn' }, speaker, this.live)];
      this.turns.append(...this.latest.filter((node) => node instanceof Node));
    }
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#buttons();
  }

  /** @param {string} text */
  token(text) {
    if (!this.live) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const following = scrollHeight - scrollTop - clientHeight < 48;
    // In a conversation the first piece often brings the space that would follow other words.
    const piece = this.story || this.live.hasChildNodes() ? text : text.trimStart();
    this.live.append(h('span', { class: 'token', textContent: piece }));
    if (following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** The answer is whole: no caret, no colours. */
  settle() {
    if (!this.live) return;
    this.live.classList.remove('live');
    this.live.textContent = this.live.textContent;
    this.live = null;
  }

  /** Takes the last words and what came of them off the page: they are to be asked again. */
  unbegin() {
    this.settle();
    for (const node of this.latest) if (node instanceof Node) node.parentNode?.removeChild(node);
    this.latest = [];
    if (!this.turns.textContent) this.clear();
  }

  /** A quiet line under the text. @param {string} text */
  say(text) {
    this.note.replaceChildren(text);
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  clear() {
    this.settle();
    this.turns.replaceChildren();
    this.note.replaceChildren();
    this.begun = false;
    this.empty.hidden = false;
    this.#buttons();
  }

  /** @param {Failure} failure @param {string} details */
  fail(failure, details) {
    this.note.replaceChildren();
    this.failure.show(failure, details, { label: 'Try again', act: this.actions.retry });
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** @param {Progress} progress */
  waiting(progress) {
    this.wait.show(progress, progress.how && HOWS[progress.how]);
  }

  /** @param {DeviceInfo | null} info @param {(Failure | null | undefined)[]} [more] what else there is to know of the model or its file */
  device(info, more = []) {
    showDevice(this.where, info);
    this.notice.show(info, more);
  }

  /** @param {Numbers} numbers @param {ModelInfo | null} model */
  numbers(numbers, model) {
    const { tokensPerSecond: rate, firstTokenMs, bytesPerToken, held, seed } = numbers;
    this.speed.set(rate ? `${format.short(rate)} tokens/s` : '—', firstTokenMs ? `first after ${format.milliseconds(firstTokenMs)}` : 'measured as it runs');
    this.reads.set(bytesPerToken ? format.bytes(bytesPerToken) : '—', bytesPerToken && rate ? `${format.bytes(bytesPerToken * rate)}/s in all` : 'weights and cache');
    this.context.set(model ? `${held ?? 0} of ${model.context.toLocaleString('en')} tokens` : '—', seed === undefined ? "the model's memory" : `seed ${seed}`);
  }

  /** @param {Stats | null} stats */
  memoryUse(stats) {
    showMemory(this.memory, stats);
  }

  /** The whole frame gives way to a sentence where nothing of it could work. @param {string} text */
  impossible(text) {
    this.frame.replaceChildren(h('div', { class: 'empty' }, h('slot', { name: 'fallback' }, h('p', { class: 'about', textContent: text }))));
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
