// Choosing somebody: by typing an id, or from those whose ids begin with what was typed.

import { ask, Lane } from "./api.js";
import { find, link, make } from "./dom.js";
import { go } from "./state.js";

const SHOWN = 12;
const PAUSE = 80;
const lane = new Lane();
const field = find("user");
let shown = "";

async function suggest(delay = 0) {
  const query = { prefix: field.value.trim(), limit: SHOWN };
  // What fails here is said by the list, which asks the same service; the field works without suggestions.
  const answer = await lane.run((signal) => ask("GET", ["users"], { query, signal }), delay).catch(() => null);
  if (!answer) return;
  const links = answer.users.map((user) => link({ user }, user, user === shown ? { ariaCurrent: "true" } : {}));
  find("users").replaceChildren(...links.map((one) => make("li", {}, one)));
}

/** Listen to the form. */
export function start() {
  field.addEventListener("input", () => suggest(PAUSE));
  find("who").addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) go({ user: field.value.trim() });
  });
}

/** Show who is looked at; what is being typed stays until somebody else is. */
export function show({ user }) {
  if (user !== shown) field.value = user;
  shown = user;
  for (const one of find("users").querySelectorAll("a")) one.ariaCurrent = one.textContent === user ? "true" : null;
  if (!find("users").childElementCount) suggest();
}
