// Finding items by words, and adding them: as an event of the user, or to the anonymous history.

import { ask, Lane } from "./api.js";
import { count, find, link, make, name, say } from "./dom.js";
import { go, read } from "./state.js";

const SHOWN = 8;
const PAUSE = 150;
const field = find("query");
const said = find("search-said");
const lane = new Lane();
let pending = { of: "", key: "" };

/** 128 random bits: the same for one event until it is accepted, so that sending it again stores it once. */
function idempotencyKey(user, item) {
  const of = JSON.stringify([user, item]);
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
  if (pending.of !== of) pending = { of, key: hex.join("") };
  return pending.key;
}

/** Add an item to whoever is looked at. */
export async function add(item, region = said) {
  const { user, history } = read();
  if (history) return go({ history: [...history, item.item_id] });
  if (!user) return say(region, "Choose a user first, or begin an anonymous history.", { problem: true });
  try {
    const headers = { "Idempotency-Key": idempotencyKey(user, item.item_id) };
    await ask("POST", ["events"], { body: { user_id: user, item_id: item.item_id }, headers });
    pending = { of: "", key: "" };
    say(region, `Added ${name(item)} to ${user}.`);
    dispatchEvent(new Event("refresh"));
  } catch (error) {
    say(region, error.message, { problem: true });
  }
}

function row(item) {
  const properties = { type: "button", ariaLabel: `Add ${name(item)}`, onclick: () => add(item) };
  const about = [item.brand, ...(item.categories ?? []).slice(-1)].filter(Boolean).join(" · ");
  return make(
    "li",
    { className: "row" },
    make("span", { className: "what" }, link({ item: item.item_id }, name(item)), make("small", {}, about)),
    make("span", { className: "acts" }, make("button", properties, "Add")),
  );
}

async function search(delay = 0) {
  const query = field.value.trim();
  const look = (signal) => (query ? ask("GET", ["items"], { query: { query, limit: SHOWN }, signal }) : { items: [] });
  try {
    const answer = await lane.run(look, delay);
    if (!answer) return;
    const { items } = answer;
    find("found").replaceChildren(...items.map(row));
    say(said, query && `${items.length ? count(items.length, "item") : "Nothing"} found.`);
  } catch (error) {
    say(said, error.message, { problem: true });
  }
}

/** Listen to the form. */
export function start() {
  field.addEventListener("input", () => search(PAUSE));
  find("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
}
