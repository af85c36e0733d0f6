// One line about what is being served.

import { ask, Lane } from "./api.js";
import { count, find, say } from "./dom.js";

const lane = new Lane();
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function age(seconds) {
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["second", 1];
  return `${count(Math.floor(seconds / length), unit)} old`;
}

/** Ask for the status and show it; also limits how many items can be wanted. */
export async function show() {
  try {
    const status = await lane.run((signal) => ask("GET", ["status"], { signal }));
    if (!status) return;
    if (!status.served) return say(find("service"), "Nothing is served yet.");
    find("steer").elements.k.max = status.k;
    const parts = [count(status.users, "user"), count(status.items, "item"), `snapshot ${age(status.age_s)}`];
    say(find("service"), [...parts, status.live.up ? "live model up" : "live model down"].join(" · "));
  } catch (error) {
    say(find("service"), error.message, { problem: true });
  }
}
