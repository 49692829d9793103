// The list of shops, which can be sorted, searched and extended.

import { NO_LIST, ROWS_PER_PAGE, addressOf, pushState, readState, withMore } from "./address.js";
import { answersOf, fetchReport } from "./api.js";
import { spark } from "./chart.js";
import { button, element, update } from "./dom.js";
import { amounts, changeNote, shopName } from "./names.js";
import { table } from "./table.js";

export const SHOPS_MAX = 10000;
export const FIND_CHARS_MAX = 255;
const NO_EVENTS = { visitors: 0, events: 0, transactions: 0, visitors_change: null };
const SORTABLE = [
  ["tenant", "shops.shop"],
  ["visitors", "column.visitors"],
  ["visitors_change", "shops.change.column"],
  ["transactions", "column.sales"],
  ["revenue", "column.revenue"],
  ["heardMs", "shops.heard"],
];

const sorted = (rows, sort, revenue) => {
  const [field, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  if (field === "tenant")
    return rows.toSorted((a, b) => sign * shopName(a).localeCompare(shopName(b)));
  if (field === "revenue") return rows.toSorted(revenue.order(sign));
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

/** Return the head of a column, whose link sorts by it: names from A, numbers from the largest. */
const sortHeading = (say, state, [field, title]) => {
  const isDescending = state.sort === `-${field}`;
  const direction = isDescending ? "descending" : state.sort === field ? "ascending" : undefined;
  const isUpNext = direction ? isDescending : field === "tenant";
  const href = addressOf({ ...state, sort: isUpNext ? field : `-${field}` });
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
  const href = addressOf({ ...state, ...NO_LIST, shop });
  return element("th", { scope: "row" }, element("a", { href }, nameOf(say, row)));
};

/** The list. It stays in the page, with the focus, while its rows and their order change. */
export class ShopList {
  node = element("div");
  /** The speech, the rows of the reports, buckets, comparison and signal of the page. */
  options;
  #showProblem;
  #latest = new AbortController();
  #directory; // the rows of all shops as a promise, fetched once
  #table = element("div", { class: "scroll", tabindex: "0", role: "group" });
  #shown = element("span");
  #button = button("", () => this.#showMore());
  #more = element("p", { class: "more" }, this.#shown, this.#button);
  #counts = new Map(); // of the events over time, by shop
  #asked; // the parameters of the counts

  constructor(showProblem) {
    this.#showProblem = showProblem;
  }

  /** Draw the shops that the address chooses; a later call aborts this one. */
  draw = async (onListed = () => {}) => {
    const { rows: summarized, heard, revenue, parameters, signal: pageSignal } = this.options;
    this.#latest.abort();
    this.#latest = new AbortController();
    const signal = AbortSignal.any([pageSignal, this.#latest.signal]);
    const state = readState();
    try {
      const find = state.find.trim().slice(0, FIND_CHARS_MAX);
      const shops = await this.fetchShops(find, signal);
      signal.throwIfAborted(); // a later search does not abort the fetch of the whole directory
      const matching = matchingShops(summarized, shops, find);
      for (const row of matching) {
        row.heardMs = Date.parse(heard.get(row.tenant_id)) || null;
        row.sold = revenue.of(row);
      }
      const rows = sorted(matching, state.sort, revenue).slice(0, state.shown);
      const asked = JSON.stringify(parameters);
      if (asked !== this.#asked) this.#counts.clear();
      this.#asked = asked;
      this.#draw(state, rows, matching.length);
      onListed();
      await this.#count(rows, signal);
      signal.throwIfAborted();
      this.#draw(state, rows, matching.length);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };

  /** Return the directory's shops whose name or slug matches a text; without a text, all. */
  async fetchShops(find, signal) {
    if (find) return (await fetchReport("shops", { find, limit: SHOPS_MAX }, signal)).rows;
    this.#directory ??= fetchReport("shops", { limit: SHOPS_MAX }).catch((error) => {
      this.#directory = undefined;
      throw error;
    });
    return (await this.#directory).rows;
  }

  /** Return the name of the shop of a report's row. */
  nameOf = async (row) => {
    const shops = await this.fetchShops("");
    return shopName(shops.find((known) => known.tenant_id === row.tenant_id) ?? row);
  };

  #draw(state, rows, total) {
    const { say } = this.options;
    const shown = rows.length;
    this.#table.setAttribute("aria-label", say.text("shops"));
    update(this.#table, this.#tableOf(state, rows));
    this.#shown.textContent = say.text("shops.shown", { shown, total });
    this.#button.textContent = say.text("more", { count: ROWS_PER_PAGE });
    this.#more.hidden = shown === total;
    this.#button.hidden = !withMore(state);
    update(
      this.node,
      element("p", { class: "note" }, this.#caption(total)),
      element("p", { class: "note narrow" }, say.text("list.scroll")),
      this.#table,
      this.#more,
    );
  }

  #caption(count) {
    const { say, compared, revenue } = this.options;
    const { find, sort } = readState();
    if (!count) return say.text(find ? "find.nothing" : "shops.none");
    const { currencies } = revenue;
    const isMixed = currencies.length > 1 && /^-?revenue$/.test(sort);
    return [
      say.text("shops.choose"),
      compared && say.text("shops.change", { span: compared }),
      isMixed && say.text("shops.by-revenue", { currencies: currencies.join(", ") }),
    ]
      .filter(Boolean)
      .join(" ");
  }

  #tableOf(state, rows) {
    const { say, compared } = this.options;
    const lastEvent = ({ heardMs }) => (heardMs ? say.moment(heardMs) : say.text("shops.never"));
    const change = (row) =>
      row.visitors_change === null || !compared ? "–" : changeNote(say, row.visitors_change);
    return table(
      say.text("shops"),
      [
        ...SORTABLE.map((column) => sortHeading(say, state, column)),
        say.text("shops.over-time"),
      ],
      rows.map((row) => [
        shopCell(say, state, row),
        say.number(row.visitors),
        change(row),
        say.number(row.transactions),
        row.sold.length ? amounts(say, row.sold) : "–",
        lastEvent(row),
        element("td", { class: "spark" }, this.#sparkOf(row.tenant_id)),
      ]),
      rows.map((row) => row.tenant_id),
    );
  }

  #sparkOf(id) {
    const { say, buckets } = this.options;
    const counts = this.#counts.get(id);
    return counts && spark(counts, say.text("shops.events-over-time"), buckets.count);
  }

  /** Fetch and keep each shop's events over time. */
  async #count(rows, signal) {
    const { parameters, buckets } = this.options;
    const ids = rows.map((row) => row.tenant_id);
    const pages = [];
    for (let start = 0; start < ids.length; start += ROWS_PER_PAGE)
      pages.push(ids.slice(start, start + ROWS_PER_PAGE).join());
    const ask = (shops) => fetchReport("activity", { ...parameters, shops }, signal);
    const activity = (await answersOf(pages, ask)).flatMap((page) => page.rows);
    const counts = new Map(ids.map((id) => [id, Array(Math.max(0, buckets.begun)).fill(0)]));
    for (const row of activity)
      counts.get(row.tenant_id)[buckets.place(Date.parse(row.bucket))] = row.events;
    this.#counts = counts;
  }

  #showMore() {
    const { shown } = readState();
    const focusNext = () => this.node.querySelectorAll("tbody a")[shown]?.focus();
    pushState(withMore(readState()));
    this.draw(focusNext).catch(this.#showProblem);
  }
}
