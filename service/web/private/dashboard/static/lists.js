// The lists of a shop's page: which report each shows, and in which columns.

import { element } from "./dom.js";
import { amounts, valueName } from "./names.js";
import { CONTACT_TYPES } from "./numbers.js";
import { emptyPanel, filterLink, nameCell, table } from "./table.js";

/** How many rows of a list the page shows. */
export const ROWS = 7;
const TYPES = ["view", ...CONTACT_TYPES, "cart_add", "social_share", "conversion", "purchase"];
// More products are fetched than the list shows: they name those of the filters and of the carts.
const PRODUCTS_NAMED = 200;
const counted = (title, field) => ({ title, text: (say, row) => say.number(row[field] ?? 0) });
const VISITORS = counted("column.visitors", "visitors");
const SALES = counted("column.sales", "transactions");

/** Return the sums in a text of a report, such as "1.5000 EUR, 20.0000 USD". */
const sumsIn = (text) =>
  (text?.split(", ") ?? []).map((part) => {
    const [value, currency] = part.split(" ");
    return { value, currency };
  });

/** Return an amount, and below it those of `other` currencies. */
export const money = (say, value, currency, other) =>
  value ? amounts(say, [{ value, currency }, ...sumsIn(other)], currency) : "–";

const VALUE = {
  title: "column.value",
  text: (say, row) => money(say, row.value, row.currency, row.other_value),
};

/** Return the tags of a link by their names; it may have only a source, or only a medium. */
const tagsOf = (row) => {
  const tags = ["utm_campaign", "utm_source", "utm_medium"].map((name) => [name, row[name]]);
  return Object.fromEntries(tags.filter(([, text]) => text !== null));
};

const hasRows = (rows) => rows.length > 0;
const productId = (row) => row.product_id;

/**
 * Return a list of the values of a filter. `own` has what it does not share with the others;
 * `details` are the columns that only the whole list has. Without `filtersOf` its rows filter nothing.
 */
export const listOf = (key, filter, { value = (row) => row[filter], ...own } = {}) => ({
  key,
  filter,
  report: key,
  limit: ROWS + 1,
  columns: [VISITORS, SALES],
  details: [],
  value,
  filtersOf: (row) => ({ [filter]: value(row) }),
  size: (row) => row.visitors ?? 0,
  ...own,
});

/** The lists of what visitors have in common. */
export const LISTS = [
  listOf("channels", "channel"),
  listOf("sources", "source"),
  listOf("products", "product", {
    report: "top-products",
    limit: PRODUCTS_NAMED,
    value: productId,
    size: (row) => row.purchases,
    columns: [
      counted("column.sales", "purchases"),
      {
        title: "column.revenue",
        text: (say, row) => money(say, row.revenue, row.currency, row.other_revenue),
      },
    ],
    details: [counted("column.views", "views")],
  }),
  // Most sales are reported by the page of the checkout, so their number says nothing about other pages.
  listOf("pages", "path", {
    columns: [VISITORS, counted("column.views", "views")],
    details: [
      counted("column.entries", "entries"),
      counted("column.exits", "exits"),
    ],
  }),
  listOf("campaigns", "utm_campaign", {
    columns: [VISITORS, SALES, VALUE],
    isShown: hasRows,
    filtersOf: tagsOf,
    detailOf: (row) => Object.values(tagsOf(row)).slice(1).join(" / "),
  }),
  listOf("countries", "country"),
  listOf("devices", "device"),
  listOf("browsers", "browser"),
  listOf("carts", "product", {
    report: "abandoned-carts",
    value: productId,
    size: (row) => row.carts,
    columns: [counted("column.carts", "carts"), VALUE],
  }),
];

/** The goals, whose rows are made by goals.js. */
export const GOALS = listOf("goals", "goal", {
  report: "summary",
  columns: [VISITORS, counted("column.events", "events")],
  isShown: hasRows,
});

/** Return whether a list has a row with a known value, or no rows. */
export const isTelling = ({ value }, rows) =>
  !rows.length || rows.some((row) => value(row) !== null);

/** Return whether a table shows only some of the rows. */
export const isCut = (rows) => rows.length > ROWS;

/** Return the name of a row, as a link if it filters the page, and the detail after it. */
const nameOf = (say, list, row, { state, products }) => {
  if (!list.filtersOf)
    return element("span", {}, valueName(say, list.filter, list.value(row), products));
  const link = filterLink(say, { filters: list.filtersOf(row), state, products });
  const detail = list.detailOf?.(row);
  return detail
    ? element("span", { class: "detailed" }, link, element("small", {}, detail))
    : link;
};

/** Return a text that no other row of the list has. */
const keyOf = (list, row) =>
  JSON.stringify([list.filtersOf?.(row) ?? list.value(row), row.currency]);

/** Return the table of a list, or a text if it has no rows. */
export const listTable = (say, list, rows, context) => {
  const { key, filter, columns, size } = list;
  if (!rows.length) return emptyPanel(say);
  const largest = Math.max(1, ...rows.map(size));
  return table(
    say.text(`panel.${key}`),
    [say.text(`name.${filter}`), ...columns.map(({ title }) => say.text(title))],
    rows.map((row) => [
      nameCell(nameOf(say, list, row, context), size(row) / largest),
      ...columns.map(({ text }) => text(say, row)),
    ]),
    rows.map((row) => keyOf(list, row)),
  );
};

/** Return the table of the types in the report `summary`, most frequent first. */
export const typesTable = (say, [row], { state, products }) => {
  const rows = TYPES.map((type) => ({ type, events: row[type] }))
    .filter(({ events }) => events)
    .toSorted((a, b) => b.events - a.events);
  if (!rows.length) return emptyPanel(say);
  return table(
    say.text("panel.types"),
    [say.text("name.type"), say.text("column.events")],
    rows.map(({ type, events }) => [
      nameCell(
        filterLink(say, { filters: { type }, state, products }),
        events / rows[0].events,
        `t-${type}`,
      ),
      say.number(events),
    ]),
  );
};

/** Return the table of the funnel: visitors per step, and their share of the first step. */
export const funnelTable = (say, rows) => {
  const first = rows[0]?.visitors ?? 0;
  const largest = Math.max(1, ...rows.map(({ visitors }) => visitors));
  return table(
    say.text("panel.funnel"),
    [say.text("column.step"), say.text("column.visitors"), say.text("column.share")],
    rows.map(({ step, visitors }) => [
      nameCell(say.name("step", step), visitors / largest, `t-${step}`),
      say.number(visitors),
      // Visitors may buy without a view: more of them than viewers have no share.
      first && visitors <= first ? say.percent(visitors / first) : "–",
    ]),
  );
};
