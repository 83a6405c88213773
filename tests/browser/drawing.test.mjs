// The finer controls: which tokens may be drawn, where an answer ends, what is forgotten when the model's memory is full, and
// what a model that converses is told first.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sparseLlama } from './gguf.mjs';
import { ask, assertAccessible, launch, options, state, visit } from './harness.mjs';

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

/** An answer from an empty page. */
async function fresh(page, text, attributes) {
  await page.evaluate(() => document.querySelector('lantern-chat').reset());
  const result = await ask(page, text, attributes);
  await page.evaluate((names) => names.forEach((name) => document.querySelector('lantern-chat').removeAttribute(name)), Object.keys(attributes));
  return result;
}

test('candidates, repetition and stop texts do what they say', options, async () => {
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await state(page, 'ready');
  await page.evaluate(() => document.querySelector('lantern-chat').setAttribute('mode', 'story'));
  const greedy = await fresh(page, 'Once upon a time', { temperature: '0', 'max-tokens': '40' });
  const hot = { temperature: '1.5', seed: '5', 'max-tokens': '40' };
  assert.notEqual((await fresh(page, 'Once upon a time', hot)).text, greedy.text);
  // One candidate is the likeliest, however hot.
  assert.equal((await fresh(page, 'Once upon a time', { ...hot, 'top-k': '1' })).text, greedy.text);
  for (const cut of [{ 'top-p': '0.3' }, { 'min-p': '0.5' }]) {
    const once = await fresh(page, 'Once upon a time', { ...hot, ...cut });
    assert.notEqual(once.text, (await fresh(page, 'Once upon a time', hot)).text, JSON.stringify(cut));
    assert.equal((await fresh(page, 'Once upon a time', { ...hot, ...cut })).text, once.text, 'a seed repeats its text');
  }
  const varied = await fresh(page, 'Once upon a time', { temperature: '0', 'repeat-penalty': '1.5', 'max-tokens': '40' });
  assert.notEqual(varied.text, greedy.text);

  const word = greedy.text.match(/[a-z]{4,}/g).at(-2);
  const before = greedy.text.slice(0, greedy.text.indexOf(word));
  const ended = await fresh(page, 'Once upon a time', { temperature: '0', stop: `${word}\nzzz`, 'max-tokens': '40' });
  assert.deepEqual([ended.finish, ended.text], ['stop-string', before]);
  const shown = await page.locator('lantern-chat [part=completion]').last().textContent();
  assert.equal(shown, before, 'nothing of the stop text was ever shown');
  await close();
});

test('a full memory ends the answer, or forgets the oldest and says so', options, async (t) => {
  // It says "h" to everything, and holds 64 tokens.
  const file = sparseLlama(t, 0n);
  const { page, close } = await visit(chromium, 'chat.html?device=cpu');
  await page.locator('lantern-chat input[type=file]').setInputFiles(file);
  await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor();
  await state(page, 'ready');
  const stopped = await ask(page, 'abc', { 'max-tokens': '512' });
  assert.equal(stopped.finish, 'context-full');
  assert.ok(stopped.tokens.length < 64);
  assert.match(await page.locator('lantern-chat [part=note]').textContent(), /used up/);

  await page.evaluate(() => document.querySelector('lantern-chat').reset());
  const slid = await ask(page, 'abc', { 'max-tokens': '100', overflow: 'slide' });
  assert.deepEqual([slid.finish, slid.tokens.length], ['max-tokens', 100]);
  assert.match(await page.locator('lantern-chat [part=note]').textContent(), /The oldest [\d,]+ tokens are forgotten/);
  await close();
});

test('what a model that converses is told first comes before the visitor’s words', options, async (t) => {
  const turns = (of) => `{% for m in messages %}{% if m.role in ${of} %}{{ m.role[0] }}{{ m.content }}{% endif %}{% endfor %}`;
  const written = (template) => sparseLlama(t, 0n, [['tokenizer.chat_template', 'string', template]]);
  const file = (of) => written(turns(of));
  const { page, close } = await visit(chromium, 'chat.html?device=cpu', { context: { bypassCSP: true } });
  const opened = async (model) => {
    await page.locator('lantern-chat input[type=file]').setInputFiles(model);
    await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor();
    await state(page, 'ready');
  };
  await state(page, 'ready');
  const instructions = page.locator('lantern-chat [part=instructions]');
  await page.locator('lantern-chat summary', { hasText: 'Finer control' }).click();
  assert.equal(await instructions.isDisabled(), false, 'the embedded model heeds them');
  await opened(file("['user', 'assistant']"));
  assert.equal(await instructions.isDisabled(), true, 'this one heeds none');
  assert.match(await page.locator('lantern-chat [part=finer]').innerText(), /its template leaves them out/);
  const notice = page.locator('lantern-chat [part=notice]');
  await ask(page, 'abc', { 'max-tokens': '2', instructions: 'xyz' });
  assert.match(await notice.innerText(), /leaves out the system prompt/, 'said where it is given all the same');
  await page.evaluate(() => document.querySelector('lantern-chat').reset());
  await ask(page, 'abc', { 'max-tokens': '2', instructions: '' });
  assert.doesNotMatch(await notice.innerText(), /leaves out/);
  await opened(written('{% for m in messages %}{{ m.role[0] }}{% endfor %}'));
  await ask(page, 'abc', { 'max-tokens': '2' });
  assert.match(await notice.innerText(), /leaves out the last question/);
  await page.getByRole('button', { name: 'Back to the embedded model' }).click();
  await page.getByRole('button', { name: 'Back to the embedded model' }).waitFor({ state: 'hidden' });
  await state(page, 'ready');
  await opened(file("['system', 'user', 'assistant']"));
  assert.doesNotMatch(await page.locator('lantern-chat [part=finer]').innerText(), /leaves them out/);
  const plain = await ask(page, 'abc', { 'max-tokens': '2' });
  await page.evaluate(() => document.querySelector('lantern-chat').reset());
  await instructions.fill('xyz');
  const told = await ask(page, 'abc', { 'max-tokens': '2' });
  // A letter for the role, three of the instructions.
  assert.equal(told.promptTokens - plain.promptTokens, 4);
  await assertAccessible(page, 'with the finer controls open');
  await close();
});
