// @ts-check
// Numbers for people: three significant digits at most, always with a unit that stays on the same line. Decimal bytes, as downloads are counted.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** @param {number} value */
export function short(value) {
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString('en');
  return value.toPrecision(value < 1 ? 2 : value < 10 ? 2 : 3);
}

/** @param {number} bytes */
export function bytes(bytes) {
  let unit = 0;
  while (bytes >= 1000 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${short(unit < 1 ? Math.round(bytes) : bytes)}\u00a0${UNITS[unit]}`;
}

/** @param {number} ms */
export function milliseconds(ms) {
  return ms < 1000 ? `${short(Math.max(1, Math.round(ms)))} ms` : `${short(ms / 1000)} s`;
}

/** "1.2 of 2.9 MB": one unit for both, so that they compare at a glance.
 * @param {number} done @param {number} total */
export function bytesOf(done, total) {
  if (total <= 0) return bytes(done);
  const scale = 1000 ** Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(total) / 3)));
  const digits = total / scale < 100 ? 1 : 0;
  return `${(done / scale).toFixed(digits)} of ${bytes(total)}`;
}

/** A span of time that nobody can foretell to the second: "4 s", "about 3 min".
 * @param {number} seconds */
export function about(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))}\u00a0s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)}\u00a0min` : `about ${short(Math.round(seconds / 360) / 10)}\u00a0h`;
}

/** Weights in a model, as the field counts them.
 * @param {number} count */
export function parameters(count) {
  if (count >= 1e9) return `${short(count / 1e9)} billion weights`;
  if (count >= 1e6) return `${short(count / 1e6)} million weights`;
  return `${short(count / 1e3)} thousand weights`;
}
