// @ts-check
/// <reference lib="webworker" />
// A helper of the engine's Worker: it holds a share of each weight and multiplies by it, until it is ended. What it does is in
// crates/web/src/crew.rs. While it computes it hears no message: orders come through shared memory.

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** Places in its line of numbers, as crew.rs has them. */
const [ORDERED, DONE, FAILED] = [0, 1, 2];

scope.addEventListener('message', async ({ data: { glue, program, memory } }) => {
  const { control, x, out } = memory;
  try {
    const wasm = await import(glue);
    await wasm.default({ module_or_path: program });
    scope.postMessage('listening');
    wasm.help(control, x, out);
  } catch (thrown) {
    // A trap, mostly of memory that could not be had: who waits hears of it at once.
    Atomics.store(control, FAILED, 1);
    Atomics.store(control, DONE, Atomics.load(control, ORDERED));
    Atomics.notify(control, DONE);
    throw thrown;
  }
}, { once: true });
