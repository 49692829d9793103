// The state of the page, kept in its address: every choice of the reader is a query parameter.

import { PERIODS } from "./period.js";

export const SHOPS_PER_PAGE = 100;
const DEFAULT_PERIOD = "7d";
const DEFAULT_SORT = "-visitors";

/** Return the choices in the address; a parameter that is missing or invalid gets its default. */
export const readState = () => {
  const query = new URLSearchParams(location.search);
  const period = query.get("period") ?? (query.has("from") ? "custom" : DEFAULT_PERIOD);
  return {
    shop: query.get("shop"),
    period: period in PERIODS || period === "custom" ? period : DEFAULT_PERIOD,
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
    compare: query.get("compare") !== "no",
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
  if (state.sort !== DEFAULT_SORT) query.set("sort", state.sort);
  if (state.find) query.set("find", state.find);
  if (state.shown > SHOPS_PER_PAGE) query.set("shown", state.shown);
  const text = query.toString();
  return text ? `/?${text}` : "/";
};

/** Change the address without a new entry in the browser's history. */
export const replaceState = (change) =>
  history.replaceState(null, "", addressOf({ ...readState(), ...change }));

/** Change the address and add an entry to the browser's history. */
export const pushState = (change) =>
  history.pushState(null, "", addressOf({ ...readState(), ...change }));
