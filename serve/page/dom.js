// Elements made from data: text goes in as text nodes only, so that no title can become markup.

/** The element with this id. */
export const find = (id) => document.getElementById(id);

/** An element with properties or attributes and children; null children are left out. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** A link that changes these fields of the state, and is a view of its own when it is opened elsewhere. */
export const link = (changes, text, properties = {}) =>
  make("a", { href: `#${new URLSearchParams(changes)}`, ...properties }, text);

/** What people read for an item: its title, or its id where it has none. */
export const name = (item) => item.title ?? item.item_id;

/** Put words where people and screen readers are told what happened. */
export function say(region, text, { problem = false } = {}) {
  region.classList.toggle("problem", problem);
  region.textContent = text;
}

/** A count with its noun. */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** A number with two decimals and a true minus sign. */
export const decimal = (number) => number.toFixed(2).replace("-", "\u2212");

/** Milliseconds with two digits that mean something. */
export const duration = (ms) => `${ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms)} ms`;

/** A list of codes as a path from coarse to fine. */
export function path(codes) {
  const steps = codes.map((code) => make("li", {}, make("code", {}, String(code))));
  return make("ol", { className: "path", ariaLabel: "Code path" }, ...steps);
}
