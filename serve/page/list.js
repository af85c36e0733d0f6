// The recommendations: where they came from, how long that took, what moved since the list before, and why.

import { ask, Lane } from "./api.js";
import { count, decimal, duration, find, link, make, name, say } from "./dom.js";
import { go } from "./state.js";
import { askWhy, show as reason } from "./why.js";

const SOURCES = {
  cache: "the cache",
  live: "the live model",
  collaborative: "items bought alike",
  popular: "popular items",
};
const list = find("list");
const said = find("list-said");
const lane = new Lane();
let asked = "";
let before = { of: null, ids: [] };

function question({ user, history, k, wish, category, brand, exclude }, signal) {
  if (!history) {
    return ask("GET", ["users", user, "recommendations"], { query: { k, wish, category, brand, exclude }, signal });
  }
  const words = Object.fromEntries(Object.entries({ wish, category, brand }).filter(([, text]) => text));
  const body = { history, ...words, ...(k && { k: Number(k) }), ...(exclude.length && { exclude }) };
  return ask("POST", ["recommendations"], { body, signal });
}

function movement(was, place) {
  if (was === place) return null;
  if (was < 0) return make("span", { className: "move new" }, "new");
  const by = Math.abs(was - place);
  const [sign, words] = was > place ? ["▲", "up"] : ["▼", "down"];
  return make("span", { className: "move", ariaLabel: `${words} ${by}`, role: "img" }, `${sign} ${by}`);
}

function whyButton(state, item, place) {
  const id = `why-${place}`;
  const panel = make("div", { className: "why", id, hidden: true });
  const mine = new Lane();
  async function toggle({ currentTarget: button }) {
    panel.hidden = !panel.hidden;
    button.ariaExpanded = String(!panel.hidden);
    if (panel.hidden || panel.dataset.answered) return;
    panel.replaceChildren(make("p", { className: "note", role: "status" }, "Asking …"));
    try {
      const answer = await mine.run((signal) => askWhy(state, [item.item_id], signal));
      if (!answer) return;
      panel.dataset.answered = "yes";
      panel.replaceChildren(...reason(answer));
    } catch (error) {
      panel.replaceChildren(make("p", { className: "problem", role: "status" }, error.message));
    }
  }
  const label = `Why ${name(item)}?`;
  const properties = { type: "button", ariaExpanded: "false", "aria-controls": id, ariaLabel: label, onclick: toggle };
  return [make("button", { ...properties, "data-act": "why" }, "Why?"), panel];
}

function row(state, item, place, moved) {
  const [why, panel] = whyButton(state, item, place);
  const leave = () => go({ exclude: [...state.exclude, item.item_id] });
  const out = { type: "button", ariaLabel: `Leave out ${name(item)}`, onclick: leave, "data-act": "leave" };
  return make(
    "li",
    { className: moved?.classList.contains("new") ? "row arrived" : "row" },
    make("span", { className: "place", ariaHidden: "true" }, String(place + 1)),
    make("span", { className: "what" }, link({ item: item.item_id }, name(item), { "data-act": "look" }), " ", moved),
    make("span", { className: "number" }, make("span", { className: "unseen" }, "score "), decimal(item.score)),
    make("span", { className: "acts" }, why, make("button", out, "Leave out")),
    panel,
  );
}

/** Keep the keyboard where it was: on the same button of whatever is in that place now. */
function refocus(place, act) {
  const rows = [...list.children];
  const target = rows[Math.min(place, rows.length - 1)]?.querySelector(`[data-act='${act}']`);
  (target ?? find("list-title")).focus();
}

function fill(state, answer) {
  const of = state.history ? "an anonymous history" : state.user;
  const ids = answer.items.map((item) => item.item_id);
  const same = before.of === of;
  const rows = answer.items.map((item, place) =>
    row(state, item, place, same ? movement(before.ids.indexOf(item.item_id), place) : null),
  );
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...list.children].indexOf(focused.closest("#list > li")) : -1;
  list.replaceChildren(...rows);
  if (focused) refocus(place, focused.dataset.act);
  before = { of, ids };
}

function tell(answer) {
  const source = make("strong", { className: `source ${answer.source}` }, SOURCES[answer.fallback ?? answer.source]);
  const times = `in ${duration(answer.took_ms)}, ${duration(answer.ms)} there and back`;
  const ignored = answer.ignored_items ? `; ${count(answer.ignored_items, "unknown item")} ignored` : "";
  say(said, "");
  said.append(count(answer.items.length, "item"), " from ", source, ` ${times}${ignored}`);
  const { snapshot, model, variant } = answer.versions;
  const versions = { snapshot, model: model ?? "none", variant };
  const shown = Object.entries(versions).map(([what, version]) =>
    make("span", {}, `${what} `, make("code", {}, version.slice(0, 12))),
  );
  find("versions").replaceChildren(...shown);
}

function clear(why, how) {
  list.replaceChildren();
  list.ariaBusy = "false";
  find("versions").replaceChildren();
  say(said, why, how);
}

/** Show the list for this state, asking only when what it depends on has changed or `anew`. */
export async function show(state, anew) {
  const key = JSON.stringify({ ...state, item: "" });
  if (key === asked && !anew) return;
  asked = key;
  if (!state.user && !state.history) {
    lane.leave();
    return clear("Choose a user, or begin an anonymous history.");
  }
  list.ariaBusy = "true";
  try {
    const answer = await lane.run((signal) => question(state, signal));
    if (!answer) return;
    fill(state, answer);
    tell(answer);
    list.ariaBusy = "false";
  } catch (error) {
    clear(error.status === 404 ? "The user is unknown." : error.message, { problem: true });
  }
}
