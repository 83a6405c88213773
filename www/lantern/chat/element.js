// @ts-check
// <lantern-chat>: a language model on this page. Knows when to load, what is asked and what is stopped; view.js draws
// it, session.js keeps the text safe, the Worker computes.
//
// Attributes: model (a GGUF's address or a name in the catalogue; the embedded one without it), loading=lazy|eager|click, poster, autostart,
//   device=auto|cpu|gpu, tier, mode=conversation|story, seed, temperature, max-tokens, top-k, top-p, min-p, repeat-penalty,
//   stop (a text a line), overflow=stop|slide, instructions, asset-base, weights-base.
// Events: lantern-state {state, previous}, lantern-progress {stage, done, total, how}, lantern-token {text, id, step},
//   lantern-result (Result below), lantern-error {code, cause, remedy}.
// Slots: poster, fallback, error. Parts: see view.js. Custom properties: see tokens.css.

import { announce } from '../core/announcer.js';
import { ChatSession } from './session.js';
import { Options } from './options.js';
import { ChatView } from './view.js';
import { LanternElement } from '../core/element.js';
import { EMBEDDED, OPENINGS } from './embedded.js';
import * as format from '../core/format.js';
import { sentence } from '../core/parts.js';
import { CANCELLED, cancelled, toFailure } from '../core/protocol.js';

/** @import { DeviceChoice, Failure, Finish, ModelInfo, ModelSource, Progress } from '../core/protocol.js' */
/** @import { Recovery } from '../core/session.js' */

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

const SLOW_MS = 500;
// What names an entry of the catalogue, where an address would have a slash or an ending.
const NAME = /^[a-z0-9][a-z0-9.-]*$/;
const REOPENING = ['model', 'device', 'tier', 'asset-base', 'weights-base'];

export class LanternChat extends LanternElement {
  static observedAttributes = [...REOPENING, 'poster', 'mode', 'seed', 'temperature', 'max-tokens', ...Options.attributes];

  /** @type {ChatView | undefined} */ #view;
  /** @type {ChatSession | null} */ #session = null;
  /** @type {Promise<void> | null} */ #starting = null;
  /** @type {Promise<unknown>} */ #answering = Promise.resolve();
  /** @type {Promise<void>} */ #leaving = Promise.resolve();
  /** @type {AbortController | null} */ #stop = null;
  #asking = false;
  /** What the visitor chose instead of the page's own. @type {ModelSource | null} */ #chosen = null;
  /** What people call it, before the file says so itself. @type {string | null} */ #called = null;
  /** @type {(() => void) | null} */ #retry = null;
  /** @type {Failure | null} */ #recovered = null;
  /** @type {string | null} words whose answer failed */ #unanswered = null;
  /** @type {import('./view.js').Numbers} */ #numbers = {};

  connectedCallback() {
    const view = this.#build();
    if (this.loading === 'click') this.#offer();
    if (this.canRun) this.startWhenWanted(() => (this.hasAttribute('autostart') ? this.#begin() : this.start()).catch(() => {}));
  }

  /** A story that nobody asked for. */
  #begin() {
    this.#view?.wish('story');
    return this.ask(OPENINGS[0]);
  }

  /** What the first words fetch. */
  #offer() {
    this.#view?.offer(`Your first words fetch the engine and the model${this.#isOwn() ? `, ${EMBEDDED.cost}` : ''}.`);
  }

  /** Whether this browser has what the engine needs at all; WebGPU is not needed. */
  get canRun() {
    return typeof WebAssembly === 'object' && typeof Worker === 'function';
  }

  /** The session's view of the model, once there is one. */
  get model() {
    return this.#session?.model ?? null;
  }

  /** @param {import('../core/element.js').State} state */
  setState(state) {
    this.#view?.setState(state);
    super.setState(state);
  }

  #build() {
    if (this.#view) return this.#view;
    const view = new ChatView({
      submit: (text) => void this.ask(text).catch(() => {}),
      stop: () => void this.stop(),
      reset: () => void this.reset(),
      retry: () => this.#retry?.(),
      openFile: (file) => void this.open(file).catch(() => {}),
      embedded: () => void this.open(null).catch(() => {}),
      models: {
        list: (signal) => this.engine.models({ ...this.#where(), base: this.weightsBase }, signal),
        use: (model, name) => this.#use(model, name),
        remove: (key) => this.engine.removeModel(this.assetBase, key),
      },
    });
    this.#view = view;
    this.dress(new URL('./chat.css', import.meta.url), view.frame);
    view.setState('idle');
    for (const name of ['poster', 'mode', 'seed', 'temperature', 'max-tokens', ...Options.attributes]) this.#control(name);
    this.#announceModel();
    this.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#stop && !view.models.root.open) {
        event.preventDefault();
        void this.stop();
      }
    });
    if (!this.canRun) view.impossible('This demo needs WebAssembly and Workers, and this browser offers neither to this page. Update it, or allow scripts here.');
    return view;
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (before === value || !this.#view) return;
    if (REOPENING.includes(name)) void this.#leave();
    else this.#control(name);
  }

  /** @param {string} name */
  #control(name) {
    const view = this.#view;
    const value = this.getAttribute(name);
    if (!view) return;
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

  /** Loads the engine and the model. Called again it waits for the same load.
   * @returns {Promise<void>} */
  start() {
    const view = this.#build();
    if (this.#session) return Promise.resolve();
    if (!this.#starting) {
      const stop = (this.#stop = new AbortController());
      this.#starting = this.#leaving.then(() => this.#load(view, stop)).finally(() => (this.#starting = null));
    }
    return this.#starting;
  }

  /** @param {ChatView} view @param {AbortController} stop */
  async #load(view, stop) {
    try {
      if (stop.signal.aborted) throw cancelled();
      this.setState('loading');
      this.#progress({ stage: 'code', done: 0, total: 0 });
      Object.assign(view.models, { used: nameOf(this.#source()), ready: false });
      this.#announceModel();
      const session = await this.engine.open(
        ChatSession,
        { sources: [this.#source()], ...this.#where() },
        { signal: stop.signal, onProgress: (progress) => this.#progress(progress), onKnown: (known) => view.know(known) },
      );
      if (stop.signal.aborted) {
        void session.close();
        throw cancelled();
      }
      this.#session = session;
      session.onrecovery = (recovery) => this.#recovery(recovery);
      this.#announceModel(session.model);
      view.device(session.device, [session.kept, ...session.model?.notices ?? []]);
      view.models.ready = true;
      this.#show({ held: 0 });
      void this.#memory();
      this.setState('ready');
      announce(`${session.model?.name ?? 'The model'} is ready`);
    } catch (thrown) {
      view.models.used = '';
      this.#failed(toFailure(thrown), () => void this.start().catch(() => {}));
      throw thrown;
    } finally {
      if (this.#stop === stop) this.#stop = null;
    }
  }

  /** Which model it is, and of what kind: as the file says, or as far as anything says before. @param {ModelInfo | null} [model] */
  #announceModel(model = null) {
    const own = this.#isOwn();
    const facts = model ? `${format.parameters(model.parameters)} in ${model.weights}, ${format.bytes(model.bytes)}` : own ? EMBEDDED.about : '';
    const called = this.#called ?? nameOf(this.#source()).split('/').at(-1) ?? '';
    this.#view?.naming(own ? EMBEDDED.name : (model?.name ?? called), facts, { own, chosen: this.#chosen !== null });
    this.#view?.know(model ?? (own ? EMBEDDED.known : null));
  }

  /** Whether it is the page's own model. */
  #isOwn() {
    const source = this.#source();
    return 'model' in source && source.model === EMBEDDED.id;
  }

  /** Where the engine runs, and from. */
  #where() {
    return {
      device: /** @type {DeviceChoice} */ (this.getAttribute('device') ?? 'auto'),
      tier: this.getAttribute('tier') ?? '',
      assetBase: this.assetBase,
    };
  }

  /** @returns {ModelSource} */
  #source() {
    if (this.#chosen) return this.#chosen;
    const given = this.getAttribute('model') ?? EMBEDDED.id;
    if (given === EMBEDDED.id) return { model: given, base: this.weightsBase, ahead: `${this.weightsBase}${EMBEDDED.file}` };
    if (isName(given)) return { model: given, base: this.weightsBase };
    return { url: new URL(given, document.baseURI).href, own: true };
  }

  /** The visitor's words, answered by the model, or gone on with where they are a story (`mode`, or a model that only does that).
   * Loads first when needed; rejects while another answer is written.
   * @param {string} text may be empty when a story is there to go on with @returns {Promise<Result>} */
  async ask(text) {
    const view = this.#build();
    if (this.#asking) {
      throw { code: 'chat.busy', cause: 'An answer is still being written', remedy: 'Stop it first, or wait for its end' };
    }
    this.#asking = true;
    try {
      return await this.#ask(view, text);
    } finally {
      this.#asking = false;
    }
  }

  /** @param {ChatView} view @param {string} text @returns {Promise<Result>} */
  async #ask(view, text) {
    const asked = performance.now();
    if (this.#unanswered !== null) view.unbegin();
    this.#unanswered = null;
    view.begin(text);
    if (!this.#session) view.say('Answered as soon as the model is here.');
    try {
      await this.start();
    } catch (thrown) {
      // Stopped or failed before a word was written: the visitor's words go back to where they can be sent again.
      view.giveBack(text);
      this.#retry = () => void this.ask(view.takeInput()).catch(() => {});
      throw thrown;
    }
    view.say('');
    const answer = this.#answer(view, /** @type {ChatSession} */ (this.#session), text, asked);
    this.#answering = answer.catch(() => {});
    return answer;
  }

  /** @param {ChatView} view @param {ChatSession} session @param {string} text @param {number} asked @returns {Promise<Result>} */
  async #answer(view, session, text, asked) {
    const stop = (this.#stop = new AbortController());
    const seed = this.#seed();
    session.instructions = view.options.instructions;
    session.story = view.kind === 'story';
    let first = 0;
    let latest = 0;
    let step = 0;
    this.#recovered = null;
    this.#numbers = { seed, held: session.length };
    this.setState('running');
    announce('Writing');
    // A first token that takes its time says so; one that does not leaves the page as it is.
    const slow = setTimeout(() => view.wait.show({ stage: 'run', done: 0, total: 0 }), SLOW_MS);
    this.#progress({ stage: 'run', done: 0, total: 0 });
    try {
      const answer = await session.generate(
        text,
        { seed, temperature: view.temperature.value, maxTokens: view.maxTokens.value, ...view.options.chosen },
        {
          signal: stop.signal,
          onProgress: (progress) => this.#progress(progress),
          onToken: (piece, id) => {
            latest = performance.now();
            first ||= latest;
            step += 1;
            if (step === 1) {
              clearTimeout(slow);
              view.wait.hide();
            }
            if (this.state === 'recovering') this.setState('running');
            view.token(piece);
            this.tell('lantern-token', { text: piece, id, step });
            if (step % 8 === 1) this.#show({ held: session.length, ...rates(asked, first, latest, step) });
          },
        },
      );
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
      this.#finished(answer.finish, view.maxTokens.value);
      this.setState('ready');
      announce(answer.finish === 'cancelled' ? 'Stopped' : answer.text);
      void this.#memory();
      this.tell('lantern-result', result);
      return result;
    } catch (thrown) {
      this.#unanswered = text;
      this.#failed(toFailure(thrown), () => void this.ask(text).catch(() => {}));
      throw thrown;
    } finally {
      clearTimeout(slow);
      view.settle();
      if (this.#stop === stop) this.#stop = null;
    }
  }

  /** Stops a load or an answer. From the call on no token reaches the page; resolves when the element is at rest.
   * @returns {Promise<void>} */
  async stop() {
    this.#stop?.abort();
    await Promise.allSettled([this.#starting, this.#answering]);
  }

  /** An empty page; the model stays loaded.
   * @returns {Promise<void>} */
  async reset() {
    await this.stop();
    this.#session?.reset();
    this.#unanswered = null;
    this.#view?.clear();
    this.#show({ held: 0 });
    if (this.state === 'failed') this.setState(this.#session ? 'ready' : 'idle');
  }

  /** Takes a GGUF from the visitor's disk, one of the catalogue by its name, one from an address, or with null the page's own
   * model again. A file is read where it is, in slices; what is fetched is kept on this device.
   * @param {File | string | null} model @returns {Promise<void>} */
  async open(model) {
    this.#called = null;
    await this.#leave();
    if (typeof model !== 'string') this.#chosen = model && { file: model };
    else if (isName(model)) this.#chosen = { model, base: this.weightsBase };
    else {
      const url = new URL(model, document.baseURI);
      this.#chosen = { url: url.href, own: url.origin === location.origin };
    }
    return this.start();
  }

  /** A choice in the panel. @param {string} model @param {string} name */
  #use(model, name) {
    // Asked for on the visitor's click alone: some browsers ask them in turn. Without it the browser may clear models away.
    void navigator.storage?.persist?.().catch(() => {});
    void this.open(model === EMBEDDED.id && !this.hasAttribute('model') ? null : model).catch(() => {});
    // Before the load begins, which is after the last one is given back.
    this.#called = name;
  }

  /** Gives the session back, with its GPU memory. What starts meanwhile waits for it. */
  #leave() {
    const session = this.#session;
    this.#session = null;
    const stopped = this.stop();
    this.#leaving = Promise.all([this.#leaving, stopped]).then(() => {
      this.#unanswered = null;
      this.#numbers = {};
      this.#view?.clear();
      this.#view?.numbers({}, null);
      this.#announceModel();
      this.#view?.device(null);
      if (this.#view) this.#view.models.used = '';
      this.#view?.memoryUse(null);
      this.setState('idle');
      return session?.close();
    });
    return this.#leaving;
  }

  ended() {
    void this.#leave();
  }

  #seed() {
    const given = this.#view?.seed.value.trim();
    // 32 bits: a seed one can read aloud, and exact as a JavaScript number.
    return given && /^\d+$/.test(given) ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0];
  }

  /** @param {Progress} progress */
  #progress(progress) {
    if (this.state === 'loading' || this.state === 'recovering') this.#view?.waiting(progress);
    this.tell('lantern-progress', progress);
  }

  /** @param {Recovery} recovery */
  #recovery({ phase, failure, device }) {
    const view = this.#view;
    const what = failure.code === 'gpu.lost' ? 'The graphics driver restarted' : 'The engine restarted';
    if (phase === 'lost') {
      this.#recovered = failure;
      this.setState('recovering');
      view?.say(`${what}. Picking the text up again…`);
      announce(what);
      return;
    }
    view?.device(device, [this.#session?.kept, ...this.#session?.model?.notices ?? []]);
    view?.say(device?.notice?.code === 'gpu.gone' ? `${what} and did not come back; the processor went on.` : `${what}, and the text went on.`);
  }

  /** @param {Finish} finish @param {number} limit */
  #finished(finish, limit) {
    const context = this.#session?.model?.context.toLocaleString('en');
    const words = {
      end: this.#view?.kind === 'story' ? 'The story ends here.' : '',
      'stop-string': '',
      'max-tokens': `Paused after ${limit} tokens; continue when you like.`,
      'context-full': `The model can hold ${context} tokens, and they are used up. Start anew, or let it forget the oldest.`,
      cancelled: 'Stopped.',
    }[finish];
    const forgotten = this.#session?.forgotten ?? 0;
    const forgot = forgotten > 0 && `The oldest ${forgotten.toLocaleString('en')} tokens are forgotten.`;
    if (!this.#recovered) this.#view?.say([words, forgot].filter(Boolean).join(' '));
  }

  /** @param {Failure} failure @param {() => void} retry */
  #failed(failure, retry) {
    if (failure.code === CANCELLED) {
      this.setState(this.#session ? 'ready' : 'idle');
      if (!this.#session) this.#view?.offer('Loading was stopped. Your next words go on with it; what is here already is kept.');
      return;
    }
    this.#retry = retry;
    this.setState('failed');
    const details = [
      `${failure.code}: ${failure.cause}; ${failure.remedy}`,
      `model ${this.#session?.model?.name ?? nameOf(this.#source())}`,
      `device ${JSON.stringify(this.#session?.device ?? this.getAttribute('device') ?? 'auto')}`,
      `page ${location.href}`,
      navigator.userAgent,
    ].join('\n');
    this.#view?.fail(failure, details);
    announce(`${sentence(failure.cause)} ${sentence(failure.remedy)}`);
    this.tell('lantern-error', failure);
  }

  /** @param {import('./view.js').Numbers} numbers */
  #show(numbers) {
    this.#numbers = { ...this.#numbers, ...numbers };
    this.#view?.numbers(this.#numbers, this.model);
  }

  async #memory() {
    const stats = await this.engine.stats().catch(() => null);
    this.#view?.memoryUse(stats);
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

/** @param {string} model whether it is a name in the catalogue, not an address */
function isName(model) {
  return NAME.test(model) && !model.endsWith('.gguf');
}

/** @param {ModelSource} source */
function nameOf(source) {
  if ('file' in source) return source.file.name;
  return 'url' in source ? source.url : source.model;
}
