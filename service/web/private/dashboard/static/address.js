// The state of the page, kept in its address: every choice of the reader is a query parameter.

import { PERIODS } from "./period.js";

export const SHOPS_PER_PAGE = 100;
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
export const METRICS = ["visitors", "views", "contacts", "sales", "revenue", "rate"];
const DEFAULT_PERIOD = "7d";
const DEFAULT_SORT = "-visitors";

const filtersOf = (query) =>
  Object.fromEntries(
    FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)]),
  );

/** Return the choices in the address; a parameter that is missing or invalid gets its default. */
export const readState = () => {
  const query = new URLSearchParams(location.search);
  const period = query.get("period") ?? (query.has("from") ? "custom" : DEFAULT_PERIOD);
  const metric = query.get("metric");
  return {
    shop: query.get("shop"),
    period: Object.hasOwn(PERIODS, period) || period === "custom" ? period : DEFAULT_PERIOD,
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
    compare: query.get("compare") !== "no",
    metric: METRICS.includes(metric) ? metric : METRICS[0],
    filters: filtersOf(query),
    sort: query.get("sort") ?? DEFAULT_SORT,
    find: query.get("find") ?? "",
    shown: Math.max(SHOPS_PER_PAGE, Number(query.get("shown")) || 0),
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
  for (const [name, value] of Object.entries(state.filters)) query.set(name, value);
  if (state.sort !== DEFAULT_SORT) query.set("sort", state.sort);
  if (state.find) query.set("find", state.find);
  if (state.shown > SHOPS_PER_PAGE) query.set("shown", state.shown);
  const text = query.toString();
  return text ? `/?${text}` : "/";
};

/** Return the address of a state with another value of a filter; without the filter for null. */
export const filteredAddress = (state, name, value) => {
  const { [name]: _, ...others } = state.filters;
  const filters = value === null ? others : { ...state.filters, [name]: String(value) };
  return addressOf({ ...state, filters });
};

/** Change the address without a new entry in the browser's history. */
export const replaceState = (change) =>
  history.replaceState(null, "", addressOf({ ...readState(), ...change }));

/** Change the address and add an entry to the browser's history. */
export const pushState = (change) =>
  history.pushState(null, "", addressOf({ ...readState(), ...change }));
