// @ts-check
// A demo's page: what the address asks for goes to the element before it exists as one.

const demo = document.querySelector('#demo');
const asked = new URLSearchParams(location.search);
for (const name of ['device', 'tier', 'variant', 'threads', 'seed', 'side']) {
  const value = asked.get(name);
  if (demo && value !== null) demo.setAttribute(name, value);
}

await import(`./lantern/${demo?.localName.replace('lantern-', '')}.js`);

export {};
