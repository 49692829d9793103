// The state of the page, kept in its address: every choice of the reader is a query parameter.

import { PERIODS } from "./period.js";

/** How many rows of a long list are shown at first, and how many more each time. */
export const ROWS_PER_PAGE = 100;
// Reports return at most 10,000 rows, and a list asks for one row more than it shows.
const ROWS_MAX = 9999;
/** The parameters of reports that a reader can filter by, in the order of the chips. */
const FILTERS = [
  "channel",
  "source",
  "referrer",
  "utm_source",
  "utm_medium",
  "utm_campaign",
  "utm_term",
  "utm_content",
  "click_id",
  "path",
  "product",
  "type",
  "country",
  "device",
  "browser",
  "os",
  "goal",
];
/** What the sales can be attributed to. */
export const ATTRIBUTED_BY = ["channel", "campaign", "page", "product"];
export const METRICS = ["visitors", "views", "contacts", "sales", "revenue", "rate"];
const DEFAULT_PERIOD = "7d";
const DEFAULT_SORT = "-visitors";

const filtersOf = (query) =>
  Object.fromEntries(
    FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]),
  );

const shownOf = (query) => {
  const rows = Number.parseInt(query.get("shown"), 10) || 0;
  return Math.min(ROWS_MAX, Math.max(ROWS_PER_PAGE, rows));
};

/** Return the choices in the address; a parameter that is missing or invalid gets its default. */
export const readState = () => {
  const query = new URLSearchParams(location.search);
  const period = query.get("period") ?? (query.has("from") ? "custom" : DEFAULT_PERIOD);
  const metric = query.get("metric");
  const by = query.get("by");
  return {
    shop: query.get("shop"),
    period: Object.hasOwn(PERIODS, period) || period === "custom" ? period : DEFAULT_PERIOD,
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
    compare: query.get("compare") !== "no",
    metric: METRICS.includes(metric) ? metric : METRICS[0],
    by: ATTRIBUTED_BY.includes(by) ? by : ATTRIBUTED_BY[0],
    filters: filtersOf(query),
    sort: query.get("sort") ?? DEFAULT_SORT,
    find: query.get("find") ?? "",
    open: query.get("open"),
    shown: shownOf(query),
  };
};

/** Return the address of a state; parameters with their default value are left out. */
export const addressOf = (state) => {
  const query = new URLSearchParams();
  if (state.shop) query.set("shop", state.shop);
  if (state.period === "custom") {
    query.set("from", state.from);
    query.set("to", state.to);
  } else if (state.period !== DEFAULT_PERIOD) query.set("period", state.period);
  if (!state.compare) query.set("compare", "no");
  if (state.metric !== METRICS[0]) query.set("metric", state.metric);
  if (state.by !== ATTRIBUTED_BY[0]) query.set("by", state.by);
  for (const [name, value] of Object.entries(state.filters)) query.set(name, value);
  if (state.sort !== DEFAULT_SORT) query.set("sort", state.sort);
  if (state.find) query.set("find", state.find);
  if (state.open) query.set("open", state.open);
  if (state.shown > ROWS_PER_PAGE) query.set("shown", state.shown);
  const text = query.toString();
  return text ? `/?${text}` : "/";
};

/** Return the state with more rows of its long list; null if it shows as many as it can. */
export const withMore = (state) =>
  state.shown < ROWS_MAX ? { ...state, shown: state.shown + ROWS_PER_PAGE } : null;

/** The part of a state that is about a long list, as it is at first. */
export const NO_LIST = { find: "", open: null, shown: ROWS_PER_PAGE };

/** Return the address of a state with these values of filters; null removes a filter. */
export const filteredAddress = (state, changes) => {
  const wanted = Object.entries({ ...state.filters, ...changes });
  const filters = Object.fromEntries(wanted.filter(([, value]) => value !== null));
  return addressOf({ ...state, ...NO_LIST, filters });
};

/** Change the address without a new entry in the browser's history. */
export const replaceState = (change) =>
  history.replaceState(null, "", addressOf({ ...readState(), ...change }));

/** Change the address and add an entry to the browser's history. */
export const pushState = (change) =>
  history.pushState(null, "", addressOf({ ...readState(), ...change }));
