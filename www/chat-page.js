// @ts-check
// The chat page: what the address asks for goes to the element before it exists as one.

const demo = document.querySelector('lantern-chat');
const asked = new URLSearchParams(location.search);
for (const name of ['device', 'tier', 'seed']) {
  const value = asked.get(name);
  if (demo && value !== null) demo.setAttribute(name, value);
}

await import('./lantern/chat.js');
