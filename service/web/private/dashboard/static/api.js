// Requests to the report API, with the rights of the reader's session.

const QUESTIONS_AT_ONCE = 4;

/**
 * The service did not answer with numbers. `status` is 0 if it did not answer at all; `fields` are
 * the names of the parameters that it refused.
 */
export class Failure extends Error {
  constructor(status, fields = []) {
    super(`status ${status}`);
    this.status = status;
    this.fields = fields;
  }
}

const failureOf = async (response) => {
  const { errors } = await response.json().catch(() => ({}));
  return new Failure(response.status, Object.keys(errors ?? {}));
};

/** Return the URL of a report; empty parameters are left out. */
export const reportUrl = (name, parameters) => {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return `/api/v1/reports/${name}?${query}`;
};

/**
 * Return the parsed JSON of a path. If the session has ended, open the sign-in page.
 * Throw a Failure, or an AbortError if the signal is aborted.
 */
const fetchJson = async (url, signal) => {
  const response = await fetch(url, { headers: { Accept: "application/json" }, signal }).catch(
    (error) => {
      throw signal?.aborted ? error : new Failure(0);
    },
  );
  if (response.status === 401)
    location.assign(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!response.ok) throw await failureOf(response);
  return response.json();
};

/** Return a report as parsed JSON. Throw the errors of fetchJson. */
export const fetchReport = (name, parameters, signal) =>
  fetchJson(reportUrl(name, parameters), signal);

/** Return the results of an async function for the items, in order; it runs for a few at a time. */
export const answersOf = async (items, ask) => {
  const answers = [];
  const waiting = items.entries();
  const work = async () => {
    for (const [index, item] of waiting) answers[index] = await ask(item);
  };
  await Promise.all(Array.from({ length: QUESTIONS_AT_ONCE }, work));
  return answers;
};

/** Return the goals that the reader may see, each with its shop's `tenant_id` and its `name`. */
export const fetchGoals = async (signal) => (await fetchJson("/api/v1/goals", signal)).goals;

/**
 * Return the reader's rights: `tenant_id` is the shop that may be read, or null for all shops.
 * `parametersOf` has the parameters that each report takes.
 */
export const fetchReader = async () => {
  const [me, { reports }] = await Promise.all([
    fetchJson("/api/v1/me"),
    fetchJson("/api/v1/reports"),
  ]);
  const parametersOf = new Map(reports.map(({ name, parameters }) => [name, parameters]));
  return { ...me, parametersOf };
};
