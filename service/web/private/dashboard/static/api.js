// Requests to the report API, with the rights of the reader's session.

/** Return the URL of a report; empty parameters are left out. */
export const reportUrl = (name, parameters) => {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return `/api/v1/reports/${name}?${query}`;
};

/**
 * Return a report as parsed JSON. If the session has ended, open the sign-in page.
 * Throw an Error with the message of the service, or an AbortError if the signal is aborted.
 */
export const fetchReport = async (name, parameters, signal) => {
  const headers = { Accept: "application/json" };
  const response = await fetch(reportUrl(name, parameters), { headers, signal });
  if (response.status === 401) {
    location.assign(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Error("Sign in");
  }
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? `The service answered ${response.status}`);
  return body;
};

/**
 * Return the reader's rights: `tenant_id` is the shop that may be read, or null for all shops.
 * Throw an Error if the service cannot tell.
 */
export const fetchReader = async () => {
  const response = await fetch("/api/v1/me");
  if (response.status >= 500) throw new Error(`The service answered ${response.status}`);
  return response.ok ? response.json() : { tenant_id: null, signed_in: true };
};
