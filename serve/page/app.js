// The page: the state in the address, and the views that show it.

import { find } from "./dom.js";
import * as history from "./history.js";
import * as item from "./item.js";
import * as key from "./key.js";
import * as list from "./list.js";
import * as search from "./search.js";
import * as service from "./service.js";
import { followLinks, read } from "./state.js";
import * as steer from "./steer.js";
import * as who from "./who.js";

function show(anew) {
  const state = read();
  document.title = [state.user || (state.history ? "Anonymous" : ""), "semconv"].filter(Boolean).join(" · ");
  who.show(state);
  steer.show(state);
  history.show(state, anew);
  list.show(state, anew);
  item.show(state);
}

function begin() {
  service.show();
  show(true);
}

for (const part of [who, steer, search, item]) part.start();
key.start(begin);
followLinks();
find("skip").addEventListener("click", () => find("list-title").focus());
addEventListener("hashchange", () => show(false));
addEventListener("refresh", () => show(true));
begin();
