// The key that the service asks for: shown only when it does, kept in this tab only.

import { hasKey, useKey } from "./api.js";
import { find, say } from "./dom.js";

/** Ask for a key whenever the service wants one; `retry` shows everything anew with it. */
export function start(retry) {
  const dialog = find("key");
  const value = find("key-value");
  addEventListener("locked", () => {
    say(find("key-said"), hasKey() ? "The service does not know this key." : "Ask whoever runs it for one.");
    if (!dialog.open) dialog.showModal();
    value.focus();
  });
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(value.value.trim());
    value.value = "";
    dialog.close();
    retry();
  });
}
