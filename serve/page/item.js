// One item: what it is, its code path, its neighbours, whether the shop has it.

import { ask, Lane } from "./api.js";
import { find, link, make, name, path, say } from "./dom.js";
import { add } from "./search.js";
import { go, read } from "./state.js";

const NEIGHBOURS = 8;
const dialog = find("item");
const said = find("item-said");
const lane = new Lane();
let shown = "";

function fact(label, ...content) {
  return content.length ? make("div", {}, make("dt", {}, label), make("dd", {}, ...content)) : null;
}

function spaced(nodes) {
  return nodes.flatMap((node, place) => (place ? [", ", node] : [node]));
}

async function stock(item) {
  try {
    await ask("PUT", ["items", item.item_id], { body: { available: !item.available } });
    await load(item.item_id);
    find("stock").focus();
    dispatchEvent(new Event("refresh"));
    say(said, item.available ? "Marked out of stock: no list has it now." : "Back in stock.");
  } catch (error) {
    say(said, error.message, { problem: true });
  }
}

function acts(item) {
  const { user, history, exclude } = read();
  const button = (text, onclick, more = {}) => make("button", { type: "button", onclick, ...more }, text);
  const leave = () => go({ exclude: [...exclude, item.item_id], item: "" });
  return [
    user && button(`Add an event of ${user}`, () => add(item, said)),
    history && button("Add to the history", () => add(item, said)),
    exclude.includes(item.item_id) || button("Leave out", leave),
    button(item.available ? "Mark out of stock" : "Mark in stock", () => stock(item), { id: "stock" }),
  ].filter((one) => one instanceof Node);
}

function fill(item, neighbours) {
  const near = neighbours.map((one) => make("li", { className: "row" }, link({ item: one.item_id }, name(one))));
  find("item-title").textContent = name(item);
  find("item-body").replaceChildren(
    make(
      "dl",
      { className: "facts" },
      fact("Id", make("code", {}, item.item_id)),
      item.brand ? fact("Brand", link({ brand: item.brand, item: "" }, item.brand)) : null,
      fact("Categories", ...spaced((item.categories ?? []).map((one) => link({ category: one, item: "" }, one)))),
      item.codes ? fact("Code path", path(item.codes)) : fact("Code path", "none yet: it is newer than the snapshot"),
      fact("In stock", item.available ? "yes" : "no"),
    ),
    make("p", { className: "acts" }, ...acts(item)),
    make("h3", {}, "Neighbours"),
    near.length ? make("ol", { className: "rows" }, ...near) : make("p", { className: "note" }, "It has none."),
  );
}

async function load(id) {
  const both = (signal) =>
    Promise.all([
      ask("GET", ["items", id], { signal }),
      ask("GET", ["items", id, "similar"], { query: { k: NEIGHBOURS }, signal }),
    ]);
  const answers = await lane.run(both);
  if (answers) fill(answers[0], answers[1].items);
}

/** Listen to the dialog: closing it, by whatever means, takes the item out of the state. */
export function start() {
  find("item-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    if (read().item) go({ item: "" });
    if (document.activeElement === document.body) find("list-title").focus();
  });
}

/** Show the item of this state, or none. */
export async function show({ item }) {
  if (item === shown) return;
  shown = item;
  if (!item) return dialog.close();
  find("item-title").textContent = item;
  find("item-body").replaceChildren();
  say(said, "");
  if (!dialog.open) dialog.showModal();
  find("item-title").focus();
  try {
    await load(item);
    dialog.scrollTop = 0;
  } catch (error) {
    shown = "";
    say(said, error.message, { problem: true });
  }
}
