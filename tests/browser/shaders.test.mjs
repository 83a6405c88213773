// Every variant of every kernel, compiled by a real browser. naga, which compiles them natively, accepts WGSL that Chrome
// refuses, and the other way round.
//
// LANTERN_SHADERS names the output of `lantern shaders --json`: [{name, tier, variant, subgroups, wgsl}].

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { hostPage, launch, options, visit } from './harness.mjs';

const list = process.env.LANTERN_SHADERS;
assert.ok(list, 'LANTERN_SHADERS is not set: `cargo lantern shaders --json > target/shaders.json`, then name that file');
const shaders = JSON.parse(readFileSync(list, 'utf8'));

let chromium;
let here;
before(async () => {
  chromium = await launch();
  here = await visit(chromium, '/host-page', { prepare: hostPage('') });
  await here.page.evaluate(async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const wanted = ['subgroups'].filter((feature) => adapter.features.has(feature));
    const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = adapter.limits;
    globalThis.device = await adapter.requestDevice({
      requiredFeatures: wanted,
      requiredLimits: { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX },
    });
    globalThis.subgroups = adapter.features.has('subgroups');
  });
});
after(async () => {
  await here?.close();
  await chromium?.close();
});

/** Messages of the compiler, empty when it made a pipeline. */
function compile(wgsl) {
  return here.page.evaluate(async (code) => {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const info = await module.getCompilationInfo();
    const errors = info.messages.filter(({ type }) => type === 'error').map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
    if (errors.length === 0) {
      await device.createComputePipelineAsync({ layout: 'auto', compute: { module } }).catch((error) => errors.push(error.message));
    }
    const scope = await device.popErrorScope();
    if (scope && errors.length === 0) errors.push(scope.message);
    return errors;
  }, wgsl);
}

test('the list holds every tier', () => {
  const tiers = new Set(shaders.map(({ tier }) => tier));
  for (const tier of ['software', 'core', 'subgroups']) assert.ok(tiers.has(tier), `no shader of tier ${tier}`);
});

// What is added to a product is the same few lines whatever its tile: the plain products stand for all in their named variants.
const chosen = shaders.filter(({ name, variant }) => variant === '' || !/_(bias|add)$/.test(name));
const byName = new Map();
for (const shader of chosen) byName.set(shader.name, [...(byName.get(shader.name) ?? []), shader]);

for (const [name, variants] of byName) {
  test(`${name}: Chromium compiles it for every tier`, options, async (t) => {
    const hasSubgroups = await here.page.evaluate(() => globalThis.subgroups);
    let compiled = 0;
    let left = 0;
    for (const { tier, subgroups, wgsl } of variants) {
      if (subgroups && !hasSubgroups) {
        left += 1;
        continue;
      }
      assert.deepEqual(await compile(wgsl), [], `${name}, tier ${tier}`);
      compiled += 1;
    }
    if (left > 0) t.diagnostic(`${compiled} compiled; ${left} need subgroups, which this browser's GPU has not`);
  });
}

test('what could not be compiled here is counted', async (t) => {
  const hasSubgroups = await here.page.evaluate(() => globalThis.subgroups);
  const left = chosen.filter((shader) => shader.subgroups && !hasSubgroups).length;
  t.diagnostic(`${chosen.length - left} of ${shaders.length} variants compiled; ${left} need subgroups`);
  assert.ok(left < shaders.length, 'nothing was compiled');
});
