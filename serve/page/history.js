// What the user did, newest first; an anonymous history is built by hand and lives in the address.

import { ask, Lane } from "./api.js";
import { count, find, link, make, name, say } from "./dom.js";
import { go } from "./state.js";

const SHOWN = 12;
const list = find("history");
const said = find("history-said");
const all = find("history-all");
const lane = new Lane();
const titles = new Map();
let asked = "";

/** The items of an anonymous history with their titles; one that the catalogue does not hold has none. */
async function named(ids, signal) {
  const missing = [...new Set(ids)].filter((id) => !titles.has(id));
  const learn = (id) => ask("GET", ["items", id], { signal }).then((item) => titles.set(id, item.title));
  const unknown = (error) => {
    if (error.status !== 404) throw error;
  };
  await Promise.all(missing.map((id) => learn(id).catch(unknown)));
  return ids.map((id) => ({ item_id: id, title: titles.get(id) }));
}

const badge = () => make("span", { className: "move new" }, "new");

function forget(state, place) {
  return () => go({ history: state.history.filter((_, other) => other !== place) });
}

function row(state, item, place, isNew) {
  const drop = { type: "button", ariaLabel: `Take ${name(item)} out of the history`, onclick: forget(state, place) };
  return make(
    "li",
    { className: "row" },
    make("span", { className: "place", ariaHidden: "true" }, String(place + 1)),
    make("span", { className: "what" }, link({ item: item.item_id }, name(item)), " ", isNew ? badge() : null),
    state.history ? make("span", { className: "acts" }, make("button", drop, "×")) : null,
  );
}

function fill(state, items, added) {
  const rows = items.map((item, place) => row(state, item, place, place >= items.length - added)).reverse();
  list.replaceChildren(...rows.slice(0, SHOWN));
  all.hidden = rows.length <= SHOWN;
  all.textContent = `Show all ${rows.length}`;
  all.onclick = () => {
    list.replaceChildren(...rows);
    all.hidden = true;
    rows[SHOWN].querySelector("a").focus();
  };
}

async function load(state, signal) {
  if (state.history) return { history: await named(state.history, signal), new_events: 0 };
  return ask("GET", ["users", state.user], { signal });
}

function told({ history }, items, added) {
  if (history) return items.length ? "Anonymous, newest first." : "Anonymous and empty: find items below and add them.";
  return `${count(items.length, "item")}, newest first${added ? `; ${added} new since the snapshot` : ""}.`;
}

/** Show the history of this state, asking only when it is another's or `anew`. */
export async function show(state, anew) {
  const key = JSON.stringify([state.user, state.history]);
  if (key === asked && !anew) return;
  asked = key;
  if (!state.user && !state.history) {
    lane.leave();
    fill(state, [], 0);
    return say(said, "");
  }
  try {
    const answer = await lane.run((signal) => load(state, signal));
    if (!answer) return;
    fill(state, answer.history, answer.new_events);
    say(said, told(state, answer.history, answer.new_events));
  } catch (error) {
    fill(state, [], 0);
    const unknown = error.status === 404;
    say(said, unknown ? "Nobody of this id yet. An event makes them known." : error.message, { problem: !unknown });
  }
}
