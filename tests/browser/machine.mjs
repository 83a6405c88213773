// Which machine, and which browser, a record was measured on.

import { cpus, platform } from 'node:os';

export function machine() {
  const [cpu] = cpus();
  const name = cpu.model.replace(/\(.*?\)|CPU|Processor|@.*$/g, '').trim().replace(/[^A-Za-z0-9]+/g, '-').toLowerCase();
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${name}-${cpus().length}-threads`,
    cpu: cpu.model,
    threads: cpus().length,
    system: platform(),
  };
}

/** @param {import('playwright-core').Browser} browser */
export const measuredOn = (browser) => ({ ...machine(), browser: `Chromium ${browser.version()}` });

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
