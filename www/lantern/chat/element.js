// @ts-check
// <lantern-chat>: a language model on this page. Knows when to load, what is asked and what is stopped; view.js draws
// it, session.js keeps the text safe, the Worker computes.
//
// Attributes: model (a GGUF's address or a name in the catalogue; the embedded one without it), loading=lazy|eager|click, poster, autostart,
//   device=auto|cpu|gpu, tier, variant, threads, mode=conversation|story, seed, temperature, max-tokens, top-k, top-p, min-p, repeat-penalty,
//   stop (a text a line), overflow=stop|slide, instructions, asset-base, weights-base.
// Events: lantern-state {state, previous}, lantern-progress {stage, done, total, how}, lantern-token {text, id, step},
//   lantern-result (Result below), lantern-error {code, cause, remedy}.
// Slots: poster, fallback, error. Parts: see view.js. Custom properties: see tokens.css.

import { announce } from '../core/announcer.js';
import { DemoElement, isName, nameOf } from '../core/demo-element.js';
import * as format from '../core/format.js';
import { EMBEDDED, OPENINGS } from './embedded.js';
import { Options } from './options.js';
import { ChatSession } from './session.js';
import { ChatView } from './view.js';

/** @import { Retry } from '../core/demo-element.js' */
/** @import { ModelSource } from '../core/protocol.js' */
/** @import { Finish, Known, ModelInfo } from './messages.js' */

/** @typedef {object} Result
 * @property {string} text
 * @property {number[]} tokens
 * @property {Finish} finish
 * @property {number} promptTokens
 * @property {number} seed
 * @property {number} recoveries
 * @property {'cpu' | 'gpu'} device
 * @property {string} tier
 * @property {number} firstTokenMs from the call to the first token on the page
 * @property {number} tokensPerSecond
 * @property {number} [prefillMs]
 * @property {number} [decodeMs]
 * @property {number} [dispatchesPerToken]
 * @property {number} [bytesPerToken] */

/** @extends {DemoElement<ChatSession, ChatView>} */
export class LanternChat extends DemoElement {
  static observedAttributes = [...DemoElement.reopening, 'poster', 'mode', 'seed', 'temperature', 'max-tokens', ...Options.attributes];

  #asking = false;
  /** What the visitor chose instead of the page's own. @type {ModelSource | null} */ #chosen = null;
  /** What people call it, before the file says so itself. @type {string | null} */ #called = null;
  /** What a button under a failure does. */ #again = () => {};
  /** @type {string | null} words whose answer failed */ #unanswered = null;
  /** @type {import('./view.js').Numbers} */ #numbers = {};

  constructor() {
    super(ChatSession, new URL('./chat.css', import.meta.url));
  }

  connectedCallback() {
    const { view } = this;
    this.#announceModel(this.model);
    if (this.loading === 'click') view.offer(`Your first words fetch the engine and the model${this.#isOwn() ? `, ${EMBEDDED.cost}` : ''}.`);
    if (this.canRun) this.startWhenWanted(() => (this.hasAttribute('autostart') ? this.#begin() : this.start()).catch(() => {}));
  }

  /** A story that nobody asked for. */
  #begin() {
    this.view.wish('story');
    return this.ask(OPENINGS[0]);
  }

  /** The session's view of the model, once there is one. */
  get model() {
    return this.session?.model ?? null;
  }

  draw() {
    return new ChatView({
      submit: (text) => void this.ask(text).catch(() => {}),
      stop: () => void this.stop(),
      reset: () => void this.reset(),
      openFile: (file) => void this.open(file).catch(() => {}),
      embedded: () => void this.open(null).catch(() => {}),
      models: {
        list: (signal) => this.engine.models({ ...this.place, base: this.weightsBase }, signal),
        use: (model, name) => this.#use(model, name),
        remove: (key) => this.engine.removeModel(this.assetBase, key),
      },
    });
  }

  /** @param {string} name @param {string | null} value */
  follow(name, value) {
    const { view } = this;
    if (name === 'poster') {
      view.image.hidden = !value;
      if (value) view.image.src = new URL(value, document.baseURI).href;
    } else if (name === 'mode') view.wish(value === 'story' ? 'story' : 'conversation');
    else if (name === 'seed') view.seed.value = value ?? '';
    else if (name === 'temperature') view.temperature.value = Number(value ?? 0.7);
    else if (Options.attributes.includes(name)) view.options.follow(name, value);
    else {
      view.maxTokens.input.max = String(Math.max(512, Number(value)));
      view.maxTokens.value = Number(value ?? 320);
    }
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    if (this.session) return this.session;
    const { models } = this.view;
    Object.assign(models, { used: nameOf(this.#source()), ready: false });
    this.#announceModel();
    this.#again = () => void this.start().catch(() => {});
    try {
      return await super.load(signal);
    } catch (thrown) {
      models.used = '';
      throw thrown;
    }
  }

  /** @param {ChatSession} session */
  opened({ model }) {
    this.#announceModel(model);
    this.view.models.ready = true;
    this.#show({ held: 0 });
    announce(`${model?.name ?? 'The model'} is ready`);
  }

  get hearers() {
    return { known: (/** @type {Known} */ known) => this.view.know(known) };
  }

  /** Which model it is, and of what kind: as the file says, or as far as anything says before. @param {ModelInfo | null} [model] */
  #announceModel(model = null) {
    const own = this.#isOwn();
    const facts = model ? `${format.parameters(model.parameters)} in ${model.weights}, ${format.bytes(model.bytes)}` : own ? EMBEDDED.about : '';
    const called = this.#called ?? nameOf(this.#source()).split('/').at(-1) ?? '';
    this.view.naming(own ? EMBEDDED.name : (model?.name ?? called), facts, { own, chosen: this.#chosen !== null });
    this.view.know(model ?? (own ? EMBEDDED.known : null));
  }

  /** Whether it is the page's own model. */
  #isOwn() {
    const source = this.#source();
    return 'model' in source && source.model === EMBEDDED.id;
  }

  sources() {
    return [this.#source()];
  }

  /** @returns {ModelSource} */
  #source() {
    if (this.#chosen) return this.#chosen;
    const given = this.getAttribute('model') ?? EMBEDDED.id;
    if (given === EMBEDDED.id) return { model: given, base: this.weightsBase, ahead: `${this.weightsBase}${EMBEDDED.file}` };
    return this.sourceOf(given);
  }

  /** The visitor's words, answered by the model, or gone on with where they are a story (`mode`, or a model that only does that).
   * Loads first when needed; rejects while another answer is written.
   * @param {string} text may be empty when a story is there to go on with @returns {Promise<Result>} */
  async ask(text) {
    if (this.#asking) {
      throw { code: 'chat.busy', cause: 'An answer is still being written', remedy: 'Stop it first, or wait for its end' };
    }
    this.#asking = true;
    try {
      return await this.#ask(text);
    } finally {
      this.#asking = false;
    }
  }

  /** @param {string} text @returns {Promise<Result>} */
  async #ask(text) {
    const { view } = this;
    const asked = performance.now();
    if (this.#unanswered !== null) view.unbegin();
    this.#unanswered = null;
    view.begin(text);
    if (!this.session) view.say('Answered as soon as the model is here.');
    try {
      await this.start();
    } catch (thrown) {
      // Stopped or failed before a word was written: the visitor's words go back to where they can be sent again.
      view.giveBack(text);
      this.#again = () => void this.ask(view.takeInput()).catch(() => {});
      throw thrown;
    }
    view.say('');
    return this.perform(async (signal) => {
      try {
        return await this.#answer(await this.load(signal), text, asked, signal);
      } catch (thrown) {
        this.#unanswered = text;
        this.#again = () => void this.ask(text).catch(() => {});
        throw thrown;
      } finally {
        view.settle();
      }
    });
  }

  /** @param {ChatSession} session @param {string} text @param {number} asked @param {AbortSignal} signal @returns {Promise<Result>} */
  async #answer(session, text, asked, signal) {
    const { view } = this;
    const seed = this.#seed();
    session.instructions = view.options.instructions;
    session.story = view.kind === 'story';
    let first = 0;
    let latest = 0;
    let step = 0;
    this.#numbers = { seed, held: session.length };
    const answer = await this.running(() => {
      this.progress({ stage: 'run', done: 0, total: 0 });
      return session.generate(
        text,
        { seed, temperature: view.temperature.value, maxTokens: view.maxTokens.value, ...view.options.chosen },
        {
          signal,
          onProgress: (progress) => this.progress(progress),
          onNotice: () => this.showDevice(),
          onToken: (piece, id) => {
            latest = performance.now();
            first ||= latest;
            step += 1;
            this.showing();
            view.token(piece);
            this.tell('lantern-token', { text: piece, id, step });
            if (step % 8 === 1) this.#show({ held: session.length, ...rates(asked, first, latest, step) });
          },
        },
      );
    });
    this.showDevice();
    const { measured } = answer;
    const live = rates(asked, first, latest, step);
    /** @type {Result} */
    const result = {
      text: answer.text, tokens: answer.tokens, finish: answer.finish, promptTokens: answer.promptTokens, seed,
      recoveries: answer.recoveries,
      device: session.device?.device ?? 'cpu', tier: session.device?.tier ?? '',
      firstTokenMs: live.firstTokenMs ?? 0, tokensPerSecond: live.tokensPerSecond ?? 0,
      prefillMs: measured?.prefillMs, decodeMs: measured?.decodeMs,
      dispatchesPerToken: measured?.dispatchesPerToken, bytesPerToken: measured?.bytesPerToken,
    };
    this.#show({ held: session.length, bytesPerToken: measured?.bytesPerToken, ...live });
    this.#finished(session, answer.finish, view.maxTokens.value);
    this.setState('ready');
    announce(answer.finish === 'cancelled' ? 'Stopped' : answer.text);
    this.tell('lantern-result', result);
    return result;
  }

  get doing() {
    return 'Writing';
  }

  get recovering() {
    return { again: 'Picking the text up again…', on: 'the text went on' };
  }

  get notices() {
    return [...super.notices, ...(this.session?.notices ?? [])];
  }

  /** @returns {Retry} */
  retry() {
    return { label: 'Try again', act: () => this.#again() };
  }

  stopped() {
    if (!this.session) this.view.offer('Loading was stopped. Your next words go on with it; what is here already is kept.');
  }

  /** An empty page; the model stays loaded.
   * @returns {Promise<void>} */
  async reset() {
    await this.stop();
    this.session?.reset();
    this.showDevice();
    this.#unanswered = null;
    this.view.clear();
    this.#show({ held: 0 });
    if (this.state === 'failed') this.setState(this.session ? 'ready' : 'idle');
  }

  /** Takes a GGUF from the visitor's disk, one of the catalogue by its name, one from an address, or with null the page's own
   * model again. A file is read where it is, in slices; what is fetched is kept on this device.
   * @param {File | string | null} model @returns {Promise<void>} */
  async open(model) {
    this.#called = null;
    await this.leave();
    if (typeof model !== 'string') this.#chosen = model && { file: model };
    else if (isName(model)) this.#chosen = { model, base: this.weightsBase };
    else {
      const url = new URL(model, document.baseURI);
      this.#chosen = { url: url.href, own: url.origin === location.origin };
    }
    await this.start();
  }

  /** A choice in the panel. @param {string} model @param {string} name */
  #use(model, name) {
    // Asked for on the visitor's click alone: some browsers ask them in turn. Without it the browser may clear models away.
    void navigator.storage?.persist?.().catch(() => {});
    void this.open(model === EMBEDDED.id && !this.hasAttribute('model') ? null : model).catch(() => {});
    // Before the load begins, which is after the last one is given back.
    this.#called = name;
  }

  left() {
    const { view } = this;
    this.#unanswered = null;
    this.#numbers = {};
    view.clear();
    view.numbers({}, null);
    view.models.used = '';
    this.#announceModel();
  }

  #seed() {
    const given = this.view.seed.value.trim();
    // 32 bits: a seed one can read aloud, and exact as a JavaScript number.
    return given && /^\d+$/.test(given) ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0];
  }

  /** @param {ChatSession} session @param {Finish} finish @param {number} limit */
  #finished({ model, forgotten }, finish, limit) {
    const words = {
      end: this.view.kind === 'story' ? 'The story ends here.' : '',
      'stop-string': '',
      'max-tokens': `Paused after ${limit} tokens; continue when you like.`,
      'context-full': `The model can hold ${model?.context.toLocaleString('en')} tokens, and they are used up. Start anew, or let it forget the oldest.`,
      cancelled: 'Stopped.',
    }[finish];
    const forgot = forgotten > 0 && `The oldest ${forgotten.toLocaleString('en')} tokens are forgotten.`;
    if (!this.recovered) this.view.say([words, forgot].filter(Boolean).join(' '));
  }

  /** @param {import('./view.js').Numbers} numbers */
  #show(numbers) {
    this.#numbers = { ...this.#numbers, ...numbers };
    this.view.numbers(this.#numbers, this.model);
  }
}

/** As the visitor saw it: the first token counts as the wait, the others as the speed.
 * @param {number} asked @param {number} first @param {number} latest @param {number} steps */
function rates(asked, first, latest, steps) {
  return {
    firstTokenMs: first ? first - asked : undefined,
    tokensPerSecond: steps > 1 && latest > first ? (1000 * (steps - 1)) / (latest - first) : undefined,
  };
}
