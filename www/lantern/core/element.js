// @ts-check
// What every Lantern element has: an open shadow tree with the theme, a state, composed events, when to start, and an end
// that frees what it held. Importing this file touches nothing of the browser, so that sites can be rendered on a server.

import { sharedEngine } from './engine.js';
import { h } from './dom.js';

/** @typedef {'idle' | 'loading' | 'ready' | 'running' | 'recovering' | 'failed'} State */

const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

/** Whether the visitor saves data, or is on a phone's line. Few browsers tell. */
function metered() {
  const { connection } = /** @type {{connection?: {saveData?: boolean, type?: string}}} */ (navigator);
  return connection?.saveData === true || connection?.type === 'cellular';
}

export class LanternElement extends Base {
  /** @type {State} */ #state = 'idle';
  /** @type {IntersectionObserver | undefined} */ #observer;
  /** @type {ElementInternals | undefined} */ #internals;
  #dressed = false;

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** The page's one engine. */
  get engine() {
    return sharedEngine();
  }

  /** Where the WebAssembly is. */
  get assetBase() {
    return this.#folder('asset-base', '../../wasm/');
  }

  /** Where the embedded models are. */
  get weightsBase() {
    return this.#folder('weights-base', '../../models/');
  }

  /** @param {string} attribute @param {string} beside this module */
  #folder(attribute, beside) {
    const given = this.getAttribute(attribute);
    if (!given) return new URL(beside, import.meta.url).href;
    return new URL(given.endsWith('/') ? given : `${given}/`, document.baseURI).href;
  }

  /** Fills the shadow tree once. Nothing but the poster shows until the styles are there.
   * @param {URL} stylesheet the demo's own @param {HTMLElement} frame holds the poster's slot */
  dress(stylesheet, frame) {
    if (this.#dressed) return;
    this.#dressed = true;
    this.#internals = this.attachInternals();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    const shared = ['./tokens.css', './parts.css'].map((path) => new URL(path, import.meta.url));
    const links = [...shared, stylesheet].map(({ href }) => {
      const link = h('link', { rel: 'stylesheet', href });
      return /** @type {const} */ ([link, new Promise((resolve) => ['load', 'error'].forEach((e) => link.addEventListener(e, resolve)))]);
    });
    // The first slot of a name takes the content: this one until the frame may be seen, the frame's own after that.
    const before = h('slot', { name: 'poster' });
    frame.hidden = true;
    root.append(...links.map(([link]) => link), before, frame);
    void Promise.all(links.map(([, loaded]) => loaded)).then(() => {
      before.remove();
      frame.hidden = false;
    });
    this.#mark();
  }

  /** When it loads: `eager` at once, `lazy` (the default) when it comes near the view, `click` on request. On request too where
   * the visitor pays for bytes, as far as the browser knows: a model is many. */
  get loading() {
    return metered() ? 'click' : (this.getAttribute('loading') ?? 'lazy');
  }

  /** Starts as `loading` says.
   * @param {() => void} start */
  startWhenWanted(start) {
    const { loading } = this;
    if (this.#state !== 'idle' || loading === 'click') return;
    if (loading === 'eager') return start();
    this.#observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        this.#observer?.disconnect();
        if (this.#state === 'idle') start();
      },
      { rootMargin: '200px' },
    );
    this.#observer.observe(this);
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
    // Moving an element takes it out and puts it back within one task: only one that stays out has ended.
    queueMicrotask(() => {
      if (!this.isConnected) this.ended();
    });
  }

  /** Overridden: give back what the element holds. */
  ended() {}

  /** @param {State} state */
  setState(state) {
    if (state === this.#state) return;
    const previous = this.#state;
    this.#state = state;
    this.#mark();
    this.tell('lantern-state', { state, previous });
  }

  // Styled from outside with lantern-chat:state(running).
  #mark() {
    this.#internals?.states.clear();
    this.#internals?.states.add(this.#state);
  }

  /** @param {string} type @param {unknown} detail */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
