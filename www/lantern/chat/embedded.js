// @ts-check
// What the page says of its own model before a byte of it is here. www/models/catalogue.json has the file's own numbers, the
// card beside it the rest; a test holds this against both.

export const EMBEDDED = {
  id: 'lantern-chat',
  name: 'Lantern chat',
  file: 'lantern-chat.q8_0.gguf',
  about: 'Made for this page: 14 million weights that tell little stories, do small sums, and talk a little.',
  /** What a visitor fetches for it, the engine included. */
  cost: 'about 16\u00a0MB',
  /** @type {import('./messages.js').Known} */
  known: { chat: true, instructions: true },
};

/** What it was taught to answer. */
export const QUESTIONS = [
  'Who are you?',
  'Tell me a joke.',
  'Why is the sky blue?',
  'Tell me a story about a princess and a frog.',
  'I had 12 apples, gave away 5 and bought 8 more. How many do I have?',
];

/** What any model goes on with; ours to the end of the story. */
export const OPENINGS = [
  'Once upon a time, there was a little dragon named Milo.',
  'There once was a rabbit who could not hop.',
  'Long ago, a young knight named Rosa lived in a castle.',
];
