// Steering: a wish, a category, a brand, a length, and items that are left out.

import { find, make } from "./dom.js";
import { go } from "./state.js";

const FIELDS = ["wish", "category", "brand", "k"];
const form = find("steer");
const shown = Object.fromEntries(FIELDS.map((name) => [name, ""]));

/** Listen to the form. */
export function start() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()])));
  });
  form.addEventListener("reset", () => go({ ...Object.fromEntries(FIELDS.map((name) => [name, ""])), exclude: [] }));
}

/** Show what the list is steered by; a field being typed in keeps its text until its own part of the state changes. */
export function show(state) {
  for (const name of FIELDS) {
    if (state[name] !== shown[name]) form.elements[name].value = state[name];
    shown[name] = state[name];
  }
  find("unsteer").hidden = !FIELDS.some((name) => state[name]) && !state.exclude.length;
  const box = find("excluded");
  box.hidden = !state.exclude.length;
  const back = (id) => () => go({ exclude: state.exclude.filter((other) => other !== id) });
  const chips = state.exclude.map((id) =>
    make("button", { type: "button", onclick: back(id) }, id, make("span", { ariaHidden: "true" }, " ×")),
  );
  box.querySelector("ul").replaceChildren(...chips.map((chip) => make("li", {}, chip)));
}
