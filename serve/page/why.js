// Why an item is recommended: contributions in nats, told as how many times likelier the evidence makes it.

import { ask } from "./api.js";
import { decimal, duration, link, make, name, path } from "./dom.js";

const SAID = 6;
const words = (key) => key.replaceAll("_", " ");

function times(nats) {
  const factor = Math.exp(Math.abs(nats));
  if (factor < 1.005) return "no difference";
  const number = factor < 100 ? factor.toPrecision(3) : Math.round(factor).toLocaleString("en");
  return `${number} × ${nats > 0 ? "likelier" : "less likely"}`;
}

function bars(title, rows) {
  if (!rows.length) return null;
  const most = Math.max(...rows.map(([, nats]) => Math.abs(nats)), 1e-9);
  const lines = rows.map(([label, nats]) => {
    const bar = make("span", { className: `bar ${nats < 0 ? "against" : "for"}`, ariaHidden: "true" });
    bar.style.setProperty("--share", Math.abs(nats) / most);
    return make("li", {}, make("span", {}, label), bar, make("span", { className: "number" }, times(nats)));
  });
  return make("div", {}, make("h4", {}, title), make("ul", { className: "bars" }, ...lines));
}

function shared(prefix) {
  if (!prefix) return null;
  const item = link({ item: prefix.item_id }, name(prefix));
  return make("div", {}, make("h4", {}, "Shares its path with"), make("p", {}, path(prefix.codes), " ", item));
}

function wished(wish) {
  if (!wish) return null;
  const parts = Object.entries(wish).map(([key, value]) => `${words(key.replace("wish.", ""))} ${decimal(value)}`);
  return make("div", {}, make("h4", {}, "What it has of the wish"), make("p", {}, parts.join(" · ")));
}

/** Ask why `items` are recommended in this state. */
export function askWhy(state, items, signal) {
  const { user, history, wish } = state;
  return history
    ? ask("POST", ["reasons"], { body: { history, items, ...(wish && { wish }) }, signal })
    : ask("GET", ["users", user, "reasons"], { query: { item: items, wish }, signal });
}

/** One item's reason as elements. */
export function show(answer) {
  const [reason] = answer.reasons;
  if (!reason) return [make("p", {}, "The service knows no reason.")];
  return [
    bars("What each source did", reason.sources.map(({ source, contribution }) => [words(source), contribution])),
    bars(
      "What the history did",
      reason.history.slice(0, SAID).map((item) => [link({ item: item.item_id }, name(item)), item.contribution]),
    ),
    shared(reason.prefix),
    wished(reason.wish),
    make("p", { className: "note" }, `Answered in ${duration(answer.ms)}.`),
  ].filter(Boolean);
}
