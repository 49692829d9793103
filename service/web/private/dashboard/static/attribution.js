// What led to the sales: by channel, campaign, page or product, and for each by three rules.

import { ATTRIBUTED_BY, addressOf } from "./address.js";
import { element } from "./dom.js";
import { listOf, money } from "./lists.js";

/** The filters that have the values of the choices, where their names differ. */
const FILTERS = { campaign: "utm_campaign", page: "path" };
const OTHER_RULES = ["first", "linked"];

const filterOf = (by) => FILTERS[by] ?? by;

/** Return a text for the last touch, and below it those for the other rules that count a sale. */
const linesOf = (row, textOf) => {
  const others = OTHER_RULES.filter((rule) => row[`${rule}_transactions`]);
  return element(
    "span",
    { class: "several" },
    element("span", {}, textOf("last")),
    ...others.map((rule) => element("small", {}, textOf(rule))),
  );
};

const countsOf = (say, row) =>
  linesOf(row, (rule) => {
    const count = row[`${rule}_transactions`];
    return rule === "last" ? say.number(count) : say.text(`attribution.${rule}`, { count });
  });

const valuesOf = (say, row) =>
  linesOf(row, (rule) => money(say, row[`${rule}_value`], row.currency));

/**
 * Return the list of what led to the sales. Its rows filter nothing: filters choose sales by their
 * own channel, campaign, page or product.
 */
export const attributionOf = (by) =>
  listOf("attribution", filterOf(by), {
    value: (row) => row.key,
    filtersOf: null,
    isShown: () => true, // without a known value, another choice may have one
    size: (row) => row.last_transactions,
    columns: [
      { title: "column.sales", text: countsOf },
      { title: "column.revenue", text: valuesOf },
    ],
  });

/** Return the links that choose what the sales are attributed to. */
export const choicesOf = (say, state) =>
  element(
    "p",
    { class: "choices" },
    ...ATTRIBUTED_BY.map((by) => {
      const current = state.by === by ? "true" : undefined;
      const href = addressOf({ ...state, by });
      return element("a", { href, "aria-current": current }, say.text(`name.${filterOf(by)}`));
    }),
  );
