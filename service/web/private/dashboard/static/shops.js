// The page of all shops: totals, and a list that can be sorted, filtered and extended.

import { SHOPS_PER_PAGE, addressOf, pushState, readState, replaceState } from "./address.js";
import { fetchReport } from "./api.js";
import { spark } from "./charts.js";
import { button, element } from "./dom.js";
import { changeText, emptyPeriod, number, shopName } from "./messages.js";
import { bucketsOf, comparedText, intervalOf, zone } from "./period.js";
import { card, heading, panel, table } from "./table.js";

const SHOPS_MAX = 10000;
const FIND_CHARS_MAX = 255;
const TYPING_MS = 200;
const NO_EVENTS = { visitors: 0, events: 0, transactions: 0, visitors_change: null };
const SORTABLE = [
  ["visitors", "Visitors"],
  ["events", "Events"],
  ["transactions", "Sales"],
  ["visitors_change", "Change"],
];

const sorted = (rows, sort) => {
  const [field, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  const valueOf = (row) => row[field] ?? (field === "tenant" ? "" : -Infinity);
  return rows.toSorted((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    return sign * (left > right ? 1 : left < right ? -1 : 0);
  });
};

/**
 * Return the shops of the list: those of the summary, or with a `text` all whose name matches it.
 * Without a `text`, if the summary has no shop, return all shops of the directory.
 */
const matchingShops = async (summarized, text, signal) => {
  const find = text.trim().slice(0, FIND_CHARS_MAX);
  if (!find && summarized.length) return summarized;
  const { rows } = await fetchReport("shops", { find, limit: SHOPS_MAX }, signal);
  const matching = new Set(rows.map((row) => row.tenant_id));
  const isMatch = (row) =>
    matching.has(row.tenant_id) || shopName(row).toLowerCase().includes(find.toLowerCase());
  const summarizedIds = new Set(summarized.map((row) => row.tenant_id));
  const silent = rows.filter((row) => !summarizedIds.has(row.tenant_id));
  return [...summarized.filter(isMatch), ...silent.map((row) => ({ ...row, ...NO_EVENTS }))];
};

const sortHeading = (state, navigate, [field, title]) => {
  const isDescending = state.sort === `-${field}`;
  const direction = isDescending ? "descending" : state.sort === field ? "ascending" : undefined;
  const sorter = button(title, () => navigate({ sort: isDescending ? field : `-${field}` }));
  if (direction)
    sorter.append(element("span", { "aria-hidden": "true" }, isDescending ? " ▼" : " ▲"));
  return heading(sorter, { class: field !== "tenant" && "n", "aria-sort": direction });
};

const shopLink = (state, row, navigate) => {
  const change = { shop: row.tenant ?? String(row.tenant_id), find: "", shown: SHOPS_PER_PAGE };
  const link = element("a", { href: addressOf({ ...state, ...change }) }, shopName(row));
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(change);
  });
  return link;
};

const changeCell = (change, compared) =>
  element("td", { class: "n" }, change === null || !compared ? "–" : changeText(change));

const captionText = (count, compared) => {
  if (!count) return "No shop has this name";
  const text = "Choose a shop to see its page";
  return compared ? `${text}. Change: visitors, compared with ${compared}` : text;
};

/** Return the table of the shops. `cells` maps a tenant id to the cells that are filled later. */
const shopsTable = (rows, cells, { state, page, compared }) =>
  table(
    captionText(rows.length, compared),
    "Shops",
    [
      sortHeading(state, page.navigate, ["tenant", "Shop"]),
      heading("Name"),
      ...SORTABLE.map((column) => sortHeading(state, page.navigate, column)),
      heading("Over time"),
    ],
    rows.map((row) => [
      shopLink(state, row, page.navigate),
      cells.get(row.tenant_id).name,
      row.visitors,
      row.events,
      row.transactions,
      changeCell(row.visitors_change, compared),
      cells.get(row.tenant_id).activity,
    ]),
  );

const emptyCells = (rows) =>
  new Map(
    rows.map((row) => [
      row.tenant_id,
      { name: element("td"), activity: element("td", { class: "spark" }) },
    ]),
  );

/** Fetch each shop's name and its events over time, and fill the cells with them. */
const fillCells = async (cells, parameters, buckets, signal) => {
  const ids = [...cells.keys()];
  const pages = [];
  for (let start = 0; start < ids.length; start += SHOPS_PER_PAGE)
    pages.push(ids.slice(start, start + SHOPS_PER_PAGE).join());
  const fetchRows = async (name, more) => {
    const reports = pages.map((shops) => fetchReport(name, { ...more, shops }, signal));
    return (await Promise.all(reports)).flatMap((report) => report.rows);
  };
  const [shops, activity] = await Promise.all([
    fetchRows("shops", { limit: SHOPS_PER_PAGE }),
    fetchRows("activity", parameters),
  ]);
  for (const { tenant_id, name, status } of shops)
    cells.get(tenant_id).name.replaceChildren(status === "active" ? name : `${name} (${status})`);
  const counts = new Map(ids.map((id) => [id, Array(Math.max(0, buckets.begun)).fill(0)]));
  for (const row of activity)
    counts.get(row.tenant_id)[buckets.place(Date.parse(row.bucket))] = row.events;
  for (const [id, cell] of cells)
    cell.activity.replaceChildren(spark(counts.get(id), "Events over time", buckets.count));
};

const totals = (active) => {
  const total = (field) => number.format(active.reduce((sum, row) => sum + row[field], 0));
  return element(
    "ul",
    { class: "cards", "aria-label": "Numbers of all shops" },
    card("Shops with events", number.format(active.length)),
    card("Visitors", total("visitors")),
    card("Events", total("events")),
    card("Sales", total("transactions")),
  );
};

const finder = (text, onText) => {
  const field = element("input", {
    type: "search",
    value: text,
    autocomplete: "off",
    maxlength: FIND_CHARS_MAX,
  });
  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => onText(field.value), TYPING_MS);
  });
  return element("label", { class: "finder" }, "Find a shop ", field);
};

/** The list of shops. It is redrawn without the field beside it, which so keeps its cursor. */
class ShopList {
  node = element("div");
  #options;
  #latest = new AbortController();

  /** `options` are the summary's rows, parameters, buckets, comparison, signal and page. */
  constructor(options) {
    this.#options = options;
  }

  /** Draw the shops that the address chooses; a later call aborts this one. */
  draw = async (onListed = () => {}) => {
    const { rows: summarized, parameters, buckets, signal: pageSignal } = this.#options;
    this.#latest.abort();
    this.#latest = new AbortController();
    const signal = AbortSignal.any([pageSignal, this.#latest.signal]);
    const state = readState();
    try {
      const matching = await matchingShops(summarized, state.find, signal);
      const rows = sorted(matching, state.sort).slice(0, state.shown);
      const cells = emptyCells(rows);
      this.node.replaceChildren(
        shopsTable(rows, cells, { state, ...this.#options }),
        rows.length < matching.length ? this.#more(rows.length, matching.length) : "",
      );
      onListed();
      await fillCells(cells, parameters, buckets, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  };

  find = (text) => {
    replaceState({ find: text });
    this.draw().catch(this.#options.page.showProblem);
  };

  #more(shown, total) {
    const focusNext = () => this.node.querySelectorAll("tbody a")[shown].focus();
    const showMore = () => {
      pushState({ shown: shown + SHOPS_PER_PAGE });
      this.draw(focusNext).catch(this.#options.page.showProblem);
    };
    const text = `${number.format(shown)} of ${number.format(total)} shops `;
    return element("p", { class: "more" }, text, button(`Show ${SHOPS_PER_PAGE} more`, showMore));
  }
}

/**
 * Draw the page of all shops into `view`. `page` shows the snapshot, and later errors.
 * Throw the errors of fetchReport.
 */
export const drawShops = async (view, { state, period, signal, page }) => {
  const interval = intervalOf(period);
  const parameters = { from: period.from, to: period.to, tz: zone };
  const { rows, ...summary } = await fetchReport("summary", parameters, signal);
  page.showSnapshot(summary);
  const { from, to } = summary.parameters;
  const list = new ShopList({
    rows,
    parameters: { ...parameters, interval },
    buckets: bucketsOf(period, interval, Date.parse(from), Date.parse(to)),
    compared: state.compare ? comparedText(summary.parameters, period) : null,
    signal,
    page,
  });
  const active = rows.filter((row) => row.events);
  view.replaceChildren(
    totals(active),
    active.length ? "" : emptyPeriod("Choose a shop to see the line for its pages."),
    panel("Shops", "summary", parameters, finder(state.find, list.find), list.node),
  );
  await list.draw();
};
