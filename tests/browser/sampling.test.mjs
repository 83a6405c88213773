// How tokens are drawn, in the engine as the page has it: a few bytes come back for each, a seed repeats its text, an answer
// ends before a stop string, and what cannot be is told.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hostPage, launch, options, visit } from './harness.mjs';

let chromium;
before(async () => (chromium = await launch()));
after(() => chromium?.close());

for (const [device, tier] of [['gpu', 'software'], ['cpu', '']]) {
  test(`options, seeds and stop strings on the ${device}`, options, async (t) => {
    const { page, close } = await visit(chromium, 'host-page', { prepare: hostPage('') });
    await page.evaluate(
      async ({ device, tier }) => {
        const { Engine } = await import('/lantern/core/engine.js');
        const { ChatSession } = await import('/lantern/chat/session.js');
        const sources = [{ url: new URL('/models/lantern-chat.q8_0.gguf', location.href).href }];
        const session = await new Engine().open(ChatSession, { sources, device, tier });
        session.story = true;
        globalThis.say = async (sampling) => {
          session.reset();
          let shown = '';
          try {
            const { text, tokens, finish, measured } = await session.generate(
              'Once upon a time', { maxTokens: 20, temperature: 0, seed: 5, ...sampling }, { onToken: (piece) => (shown += piece) },
            );
            return { text, shown, tokens, finish, bytes: measured.readBytesPerToken };
          } catch (failure) {
            return { code: failure.code, cause: failure.cause };
          }
        };
      },
      { device, tier },
    );
    const say = (sampling) => page.evaluate((sampling) => globalThis.say(sampling), sampling);

    const greedy = await say({});
    assert.equal(greedy.bytes, 4);
    const warm = { temperature: 1.2, topK: 20, topP: 0.97, minP: 0.01, repeatPenalty: 1.1, repeatLastN: 32 };
    const drawn = await say(warm);
    t.diagnostic(`${drawn.bytes} bytes a token; ${drawn.text}`);
    // 64 logits and their ids, and of 64 recent tokens theirs: the vocabulary has 4096.
    assert.equal(drawn.bytes, 768);
    assert.deepEqual(await say(warm), drawn);
    assert.notDeepEqual((await say({ ...warm, seed: 6 })).tokens, drawn.tokens);
    assert.deepEqual((await say({ temperature: 1.2, topK: 1 })).tokens, greedy.tokens);

    // From the middle of one word to the middle of another.
    const stop = greedy.text.slice(12, 21);
    const stopped = await say({ stop: ['nowhere in it', stop] });
    assert.equal(stopped.finish, 'stop-string');
    assert.equal(stopped.text, greedy.text.slice(0, greedy.text.indexOf(stop)));
    assert.equal(stopped.shown, stopped.text);
    assert.deepEqual(stopped.tokens, greedy.tokens.slice(0, stopped.tokens.length));

    assert.equal((await say({ topP: 2 })).code, 'chat.top_p');
    assert.equal((await say({ topK: 1.5 })).code, 'chat.top_k');
    assert.equal((await say({ stop: [''] })).code, 'chat.stop');
    await close();
  });
}
