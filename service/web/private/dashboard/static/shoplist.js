// The list of shops, which can be sorted, searched and extended.

import { SHOPS_PER_PAGE, addressOf, pushState, readState } from "./address.js";
import { fetchReport } from "./api.js";
import { spark } from "./chart.js";
import { button, element } from "./dom.js";
import { amounts, shopName } from "./names.js";
import { table } from "./table.js";

export const SHOPS_MAX = 10000;
export const FIND_CHARS_MAX = 255;
const NO_EVENTS = { visitors: 0, events: 0, transactions: 0, visitors_change: null };
const SORTABLE = [
  ["visitors", "column.visitors"],
  ["visitors_change", "shops.change.column"],
  ["transactions", "column.sales"],
];

const sorted = (rows, sort) => {
  const [field, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  if (field === "tenant")
    return rows.toSorted((a, b) => sign * shopName(a).localeCompare(shopName(b)));
  const valueOf = (row) => row[field] ?? -Infinity;
  return rows.toSorted((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    return sign * (left > right ? 1 : left < right ? -1 : 0);
  });
};

/**
 * Return the shops of the list, with their names. `found` are the directory's shops that match a
 * text; without a text, `summarized` shops that the directory lacks are in the list too.
 */
const matchingShops = (summarized, found, text) => {
  const find = text.toLowerCase();
  const known = new Map(found.map((row) => [row.tenant_id, row]));
  const isMatch = (row) =>
    !find || known.has(row.tenant_id) || shopName(row).toLowerCase().includes(find);
  const active = summarized.map((row) => ({ ...known.get(row.tenant_id), ...row }));
  const summarizedIds = new Set(summarized.map((row) => row.tenant_id));
  const silent = found.filter((row) => !summarizedIds.has(row.tenant_id));
  return [...active.filter(isMatch), ...silent.map((row) => ({ ...row, ...NO_EVENTS }))];
};

const sortHeading = (say, state, [field, title]) => {
  const isDescending = state.sort === `-${field}`;
  const direction = isDescending ? "descending" : state.sort === field ? "ascending" : undefined;
  const href = addressOf({ ...state, sort: isDescending ? field : `-${field}` });
  const mark = element("span", { "aria-hidden": "true" }, isDescending ? " ▼" : " ▲");
  const sorter = element("a", { class: "sort", href }, say.text(title), direction ? mark : null);
  return element(
    "th",
    { scope: "col", class: field !== "tenant" && "n", "aria-sort": direction },
    sorter,
  );
};

const nameOf = (say, row) => {
  const name = shopName(row);
  return !row.status || row.status === "active" ? name : say.text("shops.inactive", { name });
};

const shopCell = (say, state, row) => {
  const shop = row.tenant ?? String(row.tenant_id);
  const change = { shop, find: "", shown: SHOPS_PER_PAGE };
  return element(
    "th",
    { scope: "row" },
    element("a", { href: addressOf({ ...state, ...change }) }, nameOf(say, row)),
  );
};

/** The list. It is redrawn without the field beside it, which so keeps its cursor. */
export class ShopList {
  node = element("div");
  /** The speech, the rows of the reports, buckets, comparison and signal of the page. */
  options;
  #showProblem;
  #latest = new AbortController();
  #directory; // the rows of all shops, fetched once

  constructor(showProblem) {
    this.#showProblem = showProblem;
  }

  /** Draw the shops that the address chooses; a later call aborts this one. */
  draw = async (onListed = () => {}) => {
    const { say, rows: summarized, signal: pageSignal } = this.options;
    this.#latest.abort();
    this.#latest = new AbortController();
    const signal = AbortSignal.any([pageSignal, this.#latest.signal]);
    const state = readState();
    try {
      const find = state.find.trim().slice(0, FIND_CHARS_MAX);
      const matching = matchingShops(summarized, await this.fetchShops(find, signal), find);
      const rows = sorted(matching, state.sort).slice(0, state.shown);
      const cells = new Map(rows.map((row) => [row.tenant_id, element("td", { class: "spark" })]));
      this.node.replaceChildren(
        element("p", { class: "note" }, this.#caption(matching.length)),
        element("p", { class: "note narrow" }, say.text("shops.scroll")),
        element(
          "div",
          { class: "scroll", tabindex: "0", role: "group", "aria-label": say.text("shops") },
          this.#table(state, rows, cells),
        ),
        rows.length < matching.length ? this.#more(rows.length, matching.length) : "",
      );
      onListed();
      await this.#fillCells(cells, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };

  /** Return the directory's shops whose name or slug matches a text; without a text, all. */
  async fetchShops(find, signal) {
    if (!find && this.#directory) return this.#directory;
    const { rows } = await fetchReport("shops", { find, limit: SHOPS_MAX }, signal);
    if (!find) this.#directory = rows;
    return rows;
  }

  #caption(count) {
    const { say, compared } = this.options;
    if (!count) return say.text("find.nothing");
    const change = compared ? say.text("shops.change", { span: compared }) : "";
    return `${say.text("shops.choose")} ${change}`;
  }

  #table(state, rows, cells) {
    const { say, heard, revenue, compared } = this.options;
    const lastEvent = ({ tenant_id: id }) =>
      heard.has(id) ? say.moment(heard.get(id)) : say.text("shops.never");
    const change = (row) =>
      row.visitors_change === null || !compared ? "–" : say.change(row.visitors_change);
    return table(
      say.text("shops"),
      [
        sortHeading(say, state, ["tenant", "shops.shop"]),
        ...SORTABLE.map((column) => sortHeading(say, state, column)),
        say.text("column.revenue"),
        say.text("shops.heard"),
        say.text("shops.over-time"),
      ],
      rows.map((row) => [
        shopCell(say, state, row),
        say.number(row.visitors),
        change(row),
        say.number(row.transactions),
        revenue.has(row.tenant_id) ? amounts(say, revenue.get(row.tenant_id)) : "–",
        lastEvent(row),
        cells.get(row.tenant_id),
      ]),
    );
  }

  /** Fetch each shop's events over time, and fill the cells with them. */
  async #fillCells(cells, signal) {
    const { say, parameters, buckets } = this.options;
    const ids = [...cells.keys()];
    const pages = [];
    for (let start = 0; start < ids.length; start += SHOPS_PER_PAGE)
      pages.push(ids.slice(start, start + SHOPS_PER_PAGE).join());
    const ask = (shops) => fetchReport("activity", { ...parameters, shops }, signal);
    const activity = (await Promise.all(pages.map(ask))).flatMap(({ rows }) => rows);
    const counts = new Map(ids.map((id) => [id, Array(Math.max(0, buckets.begun)).fill(0)]));
    for (const row of activity)
      counts.get(row.tenant_id)[buckets.place(Date.parse(row.bucket))] = row.events;
    const label = say.text("shops.events-over-time");
    for (const [id, cell] of cells)
      cell.replaceChildren(spark(counts.get(id), label, buckets.count));
  }

  #more(shown, total) {
    const { say } = this.options;
    const focusNext = () => this.node.querySelectorAll("tbody a")[shown].focus();
    const showMore = () => {
      pushState({ shown: shown + SHOPS_PER_PAGE });
      this.draw(focusNext).catch(this.#showProblem);
    };
    const text = `${say.text("shops.shown", { shown, total })} `;
    const more = say.text("shops.more", { count: SHOPS_PER_PAGE });
    return element("p", { class: "more" }, text, button(more, showMore));
  }
}
