// @ts-check
// Pieces that every demo's view is built from: the wait, the failure, the notice, the instruments, the sliders, the drop. Each
// has its styles in parts.css. They draw what they are told and decide nothing.

import { h, icon, ICONS } from './dom.js';
import * as format from './format.js';
import { STAGES } from './protocol.js';
import { turnOnWebGpu } from './webgpu-help.js';

/** @import { DeviceInfo, Failure, How, Progress, SessionMemory, Stage, Stats } from './protocol.js' */

/** What each stage of a start is called. @type {Record<Stage, string>} */
const STAGE_WORDS = {
  code: 'Fetching the engine',
  weights: 'Fetching the model',
  upload: 'Placing the weights',
  compile: 'Preparing the kernels',
  run: 'First run',
};

/** How the model's bytes come, where there is more to say than that they do.
 * @type {Partial<Record<How, string>>} */
const HOW_WORDS = {
  resumed: 'Fetching the rest of the model',
  changed: 'The file on the server is a new one; fetching it from the start',
  'no-range': 'This server cannot resume; fetching from the start',
  broken: 'The connection broke; trying again in a moment',
  checking: 'Checking what is already here',
  'other-tab': 'Another tab is fetching the model',
  spilled: 'No room to keep the model; fetching it into memory',
  stored: "Reading the model from this device's storage",
};

/** A rate is that of so long a time. */
const PACE_MS = 4000;

/** Of these bytes a rate says nothing: they are not coming. @type {(How | undefined)[]} */
const STILL = ['broken', 'checking', 'stored'];

/** Rust's errors are clauses, for a console line; here they stand alone.
 * @param {string} clause */
export function sentence(clause) {
  const end = /[.!?…]$/.test(clause) ? '' : '.';
  return `${clause.charAt(0).toUpperCase()}${clause.slice(1)}${end}`;
}

/** How bytes come that take their time: the rate of the last seconds, and what that makes of the rest. */
class Pace {
  /** What was there, and when. @type {{at: number, done: number}[]} */ #seen = [];
  #words = '';
  #saidAt = 0;

  /** Words for it, anew twice a second so that they can be read; none before there is a second to judge by.
   * @param {number} done @param {number} total @param {number} [now] in ms */
  words(done, total, now = performance.now()) {
    const last = this.#seen.at(-1);
    if (!last || done < last.done) {
      this.#seen = [];
      this.#words = '';
    }
    this.#seen.push({ at: now, done });
    while (this.#seen.length > 2 && now - this.#seen[1].at > PACE_MS) this.#seen.shift();
    const [first] = this.#seen;
    const rate = (1000 * (done - first.done)) / (now - first.at);
    if (now - first.at >= 1000 && now - this.#saidAt >= 500 && rate > 0) {
      this.#saidAt = now;
      this.#words = `${format.bytes(rate)}/s, ${format.about((total - done) / rate)} left`;
    }
    return this.#words;
  }
}

/** A wait: what for, how much is left, and a way out. */
export class Wait {
  #stages = new Map(STAGES.map((stage) => [stage, h('li', { textContent: stage })]));
  #bar = h('div', { class: 'fill' });
  #track = h('div', { class: 'track', role: 'progressbar', 'aria-label': 'Loading' }, this.#bar);
  #what = h('span', { class: 'amount' });
  #amount = h('span', { class: 'amount' });
  #rate = h('span', { class: 'rate' });
  #pace = new Pace();

  /** @param {() => void} cancel */
  constructor(cancel) {
    this.root = h('div', { class: 'progress', part: 'progress', hidden: true },
      h('div', { class: 'waiting' }, h('p', { class: 'coming' }, this.#what, ' ', h('span', { class: 'count' }, this.#amount, ' ', this.#rate)), h('ol', { class: 'stages', 'aria-hidden': 'true' }, ...this.#stages.values()),
        h('button', { type: 'button', class: 'quiet', part: 'cancel', textContent: 'Cancel', on: { click: cancel } })),
      this.#track,
    );
  }

  /** @param {Progress} progress @param {string} [words] instead of the stage's own */
  show({ stage, done, total, how }, words = (how && HOW_WORDS[how]) ?? STAGE_WORDS[stage]) {
    this.root.hidden = false;
    const at = STAGES.indexOf(stage);
    for (const [name, item] of this.#stages) {
      const place = STAGES.indexOf(name);
      item.className = place < at ? 'past' : place === at ? 'now' : '';
    }
    // One plan of one is no measure of how far it is.
    const known = total > (stage === 'compile' ? 1 : 0);
    const counted = stage === 'code' || stage === 'weights' || stage === 'upload' ? format.bytesOf(done, total)
      : !known ? ''
      : stage === 'compile' ? `${done} of ${total}` : `${Math.floor((100 * done) / total)} %`;
    this.#what.textContent = counted ? `${words},` : `${words}…`;
    this.#amount.textContent = counted;
    this.#rate.textContent = stage === 'weights' && known && done < total && !STILL.includes(how) ? this.#pace.words(done, total) : '';
    this.#track.classList.toggle('unknown', !known);
    this.#bar.style.inlineSize = known ? `${Math.min(100, (100 * done) / total)}%` : '100%';
    this.#track.setAttribute('aria-valuetext', counted ? `${words}, ${counted}` : `${words}…`);
    if (known) this.#track.setAttribute('aria-valuenow', String(Math.round((100 * done) / total)));
    else this.#track.removeAttribute('aria-valuenow');
  }

  hide() {
    this.root.hidden = true;
  }
}

/** What went wrong, why, what to do now, and the details for a report. */
export class FailurePanel {
  root = h('section', { class: 'failure', part: 'error', 'aria-label': 'What went wrong', hidden: true });

  /** @param {Failure} failure @param {string} details @param {{label: string, act: () => void} | null} retry */
  show(failure, details, retry) {
    const copy = h('button', { type: 'button', class: 'button', textContent: 'Copy details' });
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText(details).then(() => (copy.textContent = 'Copied'), () => (copy.textContent = 'Could not copy'));
    });
    this.root.replaceChildren(
      h('p', { class: 'cause' }, icon(ICONS.warning), sentence(failure.cause)),
      h('p', { class: 'remedy', textContent: sentence(failure.remedy) }),
      h('slot', { name: 'error' }),
      h('div', { class: 'row' },
        retry && h('button', { type: 'button', class: 'button', textContent: retry.label, on: { click: retry.act } }), copy,
        h('code', { textContent: failure.code })),
    );
    this.root.hidden = false;
  }

  hide() {
    this.root.hidden = true;
  }
}

/** What a visitor should know, in a line: what, and what to do. @param {Failure} notice */
export function warning({ cause, remedy }) {
  return h('p', {}, icon(ICONS.warning), ` ${sentence(cause)} `, h('span', { textContent: sentence(remedy) }));
}

/** Why it is not the device that was hoped for, what else there is to know, and which kernels run plainer than they could. */
export class Notice {
  root = h('div', { class: 'notice', part: 'notice', hidden: true });

  /** @param {DeviceInfo | null} info @param {(Failure | null | undefined)[]} [more] */
  show(info, more = []) {
    const notice = info?.notice;
    const others = more.filter((other) => !!other);
    const downs = info?.stepDowns ?? [];
    this.root.hidden = !notice && others.length === 0 && downs.length === 0;
    this.root.replaceChildren();
    if (notice) this.root.append(warning(notice), turnOnWebGpu(notice) ?? '');
    this.root.append(...others.map(warning));
    if (downs.length > 0) {
      const what = downs.length === 1 ? 'One kernel failed its check on this driver; a plainer one took its place.'
        : `${downs.length} kernels failed their checks on this driver; plainer ones took their places.`;
      this.root.append(h('p', {}, icon(ICONS.warning), ` ${what}`), h('details', {}, h('summary', { textContent: 'Which' }),
        h('ul', {}, ...downs.map(({ kernel, tier, reason }) => h('li', {}, h('code', { textContent: `${kernel}, ${tier}` }), ` ${reason}`)))));
    }
  }
}

/** A measured value under its name, with what it is measured against below. @param {string} name */
export function instrument(name) {
  const label = h('dt', { textContent: name });
  const value = h('dd', { class: 'value' });
  const detail = h('dd', { class: 'detail' });
  return {
    label,
    root: h('div', { class: 'instrument' }, label, value, detail),
    /** @param {string} main @param {string} below */
    set(main, below) {
      this.main(main);
      this.below(below);
    },
    /** @param {string} text */
    main(text) {
      value.textContent = text;
    },
    /** @param {string} text */
    below(text) {
      detail.textContent = text;
    },
  };
}

/** @typedef {ReturnType<typeof instrument>} Instrument */

/** @param {Instrument} where @param {DeviceInfo | null} info */
export function showDevice(where, info) {
  where.set(info ? (info.device === 'gpu' ? 'GPU' : 'Processor') : '—', info ? [info.tier, info.adapter].filter(Boolean).join(' · ') : 'decided at the start');
  const raced = info?.raced ?? [];
  where.root.title = raced.length ? `The fastest kernels on this card: ${raced.map(({ kernel, variant }) => `${kernel} ${variant}`).join(', ')}` : '';
}

/** What the page's engine holds, and what of it is one element's. @typedef {{stats: Stats, own: SessionMemory | null}} MemoryUse */

/** What all of the page hold on the device; below it, this one's part. @param {Instrument} memory @param {MemoryUse | null} use */
export function showMemory(memory, use) {
  if (!use || use.stats.wasmBytes === 0) return memory.set('—', 'of this device');
  const { stats, own } = use;
  memory.set(format.bytes(stats.gpuBytes + stats.cpuBytes), [...(own ? [ofOne(own)] : []), `heap ${format.bytes(stats.wasmBytes)}`].join(', '));
}

/** @param {SessionMemory} own */
export function ofOne({ weights, work }) {
  return `weights ${format.bytes(weights)}, working memory ${format.bytes(work)}`;
}

/** @param {string} id @param {number} min @param {number} max @param {number} step @param {(value: number) => string} word */
export function slider(id, min, max, step, word) {
  const input = h('input', { type: 'range', id, part: id, min: String(min), max: String(max), step: String(step) });
  const output = h('output', { for: id });
  const show = () => {
    output.textContent = word(input.valueAsNumber);
    input.setAttribute('aria-valuetext', output.textContent);
  };
  input.addEventListener('input', show);
  return {
    input, output,
    get value() {
      return input.valueAsNumber;
    },
    set value(value) {
      input.value = String(value);
      show();
    },
  };
}

/** @param {string} name @param {{input: HTMLElement, output: HTMLElement}} control */
export function field(name, { input, output }) {
  return h('div', { class: 'field' }, h('div', { class: 'row between' }, h('label', { for: input.id, textContent: name }), output), input);
}

/** Files held over the frame say what would become of them; dropped, they are handed on.
 * @param {HTMLElement} frame @param {string} words @param {(files: File[]) => void} take */
export function droppable(frame, words, take) {
  frame.append(h('div', { class: 'drop', 'aria-hidden': 'true' }, h('p', { textContent: words })));
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    frame.addEventListener(type, (thing) => {
      const event = /** @type {DragEvent} */ (thing);
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      const leaving = type === 'dragleave' && frame.contains(/** @type {Node | null} */ (event.relatedTarget));
      frame.classList.toggle('dragged', type !== 'drop' && (type !== 'dragleave' || leaving));
      if (type === 'drop' && event.dataTransfer.files.length > 0) take([...event.dataTransfer.files]);
    });
  }
}
