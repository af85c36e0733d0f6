// Questions to the service, and the rule that only the newest question of a kind is answered.

const ROOT = new URL("../", import.meta.url);
const KEY = "semconv.key";

/** What the service says is wrong, as RFC 9457 has it; status 0: it could not be reached. */
export class Problem extends Error {
  constructor(status, { title, detail, errors } = {}) {
    const more = (errors ?? []).map(({ at, problem }) => `${at}: ${problem}`).join("; ");
    super([title, more || detail].filter(Boolean).join(": ") || `The service answered ${status}`);
    this.status = status;
  }
}

/** Remember the key for as long as the tab lives. */
export const useKey = (key) => sessionStorage.setItem(KEY, key);

/** Whether there is a key, right or wrong. */
export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** Ask; the answer's JSON with `ms`, the round trip in milliseconds. Throws a Problem. */
export async function ask(method, path, { query = {}, body, headers = {}, signal } = {}) {
  const url = new URL(`v1/${path.map(encodeURIComponent).join("/")}`, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== "") url.searchParams.append(name, one);
  }
  const key = sessionStorage.getItem(KEY);
  const request = { method, signal, headers: { ...headers } };
  if (key) request.headers.authorization = `Bearer ${key}`;
  if (body) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  const started = performance.now();
  let response, answer;
  try {
    response = await fetch(url, request);
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(response?.status ?? 0, { title: "The service gave no answer" });
  }
  if (response.status === 401) {
    dispatchEvent(new Event("locked"));
    throw new Problem(401, { title: "The service asks for a key" });
  }
  if (!response.ok) throw new Problem(response.status, answer);
  return { ...answer, ms: performance.now() - started };
}

/** Questions of one kind, of which only the newest counts: it aborts the one before, whose answer is dropped. */
export class Lane {
  #newest = 0;
  #abort = new AbortController();

  /** Nobody waits for an answer any more. */
  leave() {
    this.#abort.abort();
    this.#newest += 1;
  }

  /** What `work(signal)` gives, or null when a newer question was asked meanwhile; waits `delay` ms first. */
  async run(work, delay = 0) {
    this.leave();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const number = this.#newest;
    try {
      if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
      const answer = signal.aborted ? null : await work(signal);
      return number === this.#newest ? answer : null;
    } catch (error) {
      if (number !== this.#newest) return null;
      throw error;
    }
  }
}
