// What is looked at. The address after '#' alone holds it, so that a view can be linked and gone back to.

const TEXTS = ["user", "wish", "category", "brand", "k", "item"];
const NOBODY = { user: "", history: null, exclude: [] };

/** The state that a fragment describes; `history` is null unless an anonymous history is looked at. */
export function read(fragment = location.hash) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const state = Object.fromEntries(TEXTS.map((name) => [name, fields.get(name) ?? ""]));
  state.history = fields.has("history") ? fields.getAll("history").filter(Boolean) : null;
  state.exclude = fields.getAll("exclude");
  return state;
}

function fragment(state) {
  const fields = new URLSearchParams();
  for (const name of TEXTS) if (state[name]) fields.set(name, state[name]);
  if (state.history) for (const id of state.history.length ? state.history : [""]) fields.append("history", id);
  for (const id of state.exclude) fields.append("exclude", id);
  return fields.toString();
}

/** Change some of the state; the same state again is shown anew. */
export function go(changes) {
  const someoneElse = "user" in changes || (changes.history && read().history === null);
  const next = fragment({ ...read(), ...(someoneElse ? NOBODY : {}), ...changes });
  if (location.hash.slice(1) === next) dispatchEvent(new Event("refresh"));
  else location.hash = next;
}

/** Follow links that name a part of the state, such as `#item=i3`, without losing the rest of it. */
export function followLinks() {
  addEventListener("click", (event) => {
    const target = event.target.closest("a[href^='#']");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const named = new URLSearchParams(target.getAttribute("href").slice(1));
    const wanted = read(target.getAttribute("href"));
    go(Object.fromEntries(Object.entries(wanted).filter(([field]) => named.has(field))));
  });
}
