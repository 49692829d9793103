// The page of all shops: totals, and a list that sorts, filters and grows.

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

// -- which shops ----------------------------------------------------------------------------

const sorted = (rows, sort) => {
  const [field, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  const valueOf = (row) => row[field] ?? (field === "tenant" ? "" : -Infinity);
  return rows.toSorted((a, b) => {
    const [left, right] = [valueOf(a), valueOf(b)];
    return sign * (left > right ? 1 : left < right ? -1 : 0);
  });
};

/**
 * Return the shops of the list: those with events, or those whose name matches `text`, with or
 * without events. Without events in any shop, all shops of the directory.
 */
const matchingShops = async (active, text, signal) => {
  const find = text.trim().slice(0, FIND_CHARS_MAX);
  if (!find && active.length) return active;
  const { rows } = await fetchReport("shops", { find, limit: SHOPS_MAX }, signal);
  const matching = new Set(rows.map((row) => row.tenant_id));
  const isMatch = (row) =>
    matching.has(row.tenant_id) || shopName(row).toLowerCase().includes(find.toLowerCase());
  const activeIds = new Set(active.map((row) => row.tenant_id));
  const silent = rows.filter((row) => !activeIds.has(row.tenant_id));
  return [...active.filter(isMatch), ...silent.map((row) => ({ ...row, ...NO_EVENTS }))];
};

// -- the list -------------------------------------------------------------------------------

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

/** Return the table of the shops. `cells` has, per tenant id, the cells to fill in later. */
const shopsTable = (rows, cells, { state, navigate, compared }) =>
  table(
    captionText(rows.length, compared),
    "Shops",
    [
      sortHeading(state, navigate, ["tenant", "Shop"]),
      heading("Name"),
      ...SORTABLE.map((column) => sortHeading(state, navigate, column)),
      heading("Over time"),
    ],
    rows.map((row) => [
      shopLink(state, row, navigate),
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

/** Fill the cells with each shop's name and its events over time. */
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

// -- the page -------------------------------------------------------------------------------

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

const moreShops = (shown, total, onMore) =>
  element(
    "p",
    { class: "more" },
    `${number.format(shown)} of ${number.format(total)} shops `,
    button(`Show ${SHOPS_PER_PAGE} more`, onMore),
  );

/** Abort the earlier call's signal at each call, and all of them with `signal`; return the call's. */
const latestOnly = (signal) => {
  let latest = new AbortController();
  return () => {
    latest.abort();
    latest = new AbortController();
    return AbortSignal.any([signal, latest.signal]);
  };
};

/**
 * Draw the page of all shops into `view`. `page` takes the snapshot, and what goes wrong later.
 * Throw what fetchReport throws.
 */
export const drawShops = async (view, { state, period, signal, page }) => {
  const interval = intervalOf(period);
  const parameters = { from: period.from, to: period.to, tz: zone };
  const summary = await fetchReport("summary", parameters, signal);
  page.showSnapshot(summary);
  const active = summary.rows.filter((row) => row.events);
  const compared = state.compare ? comparedText(summary.parameters, period) : null;
  const { from, to } = summary.parameters;
  const buckets = bucketsOf(period, interval, Date.parse(from), Date.parse(to));
  const list = element("div");
  const nextSignal = latestOnly(signal);

  // Typing redraws the list alone, so that the field keeps its cursor.
  const drawList = async (onListed = () => {}) => {
    const latest = nextSignal();
    const now = readState();
    try {
      const matching = await matchingShops(summary.rows, now.find, latest);
      const rows = sorted(matching, now.sort).slice(0, now.shown);
      const cells = emptyCells(rows);
      const ways = { state: now, navigate: page.navigate, compared };
      list.replaceChildren(shopsTable(rows, cells, ways));
      if (rows.length < matching.length)
        list.append(moreShops(rows.length, matching.length, () => showMore(rows.length)));
      onListed();
      await fillCells(cells, { ...parameters, interval }, buckets, latest);
    } catch (error) {
      if (!latest.aborted) throw error;
    }
  };
  const redraw = (onListed) => drawList(onListed).catch(page.showProblem);
  const showMore = (shown) => {
    pushState({ shown: shown + SHOPS_PER_PAGE });
    redraw(() => list.querySelectorAll("tbody a")[shown].focus());
  };
  const find = (text) => {
    replaceState({ find: text });
    redraw();
  };

  view.replaceChildren(
    totals(active),
    active.length ? "" : emptyPeriod("Choose a shop to see the line for its pages."),
    panel("Shops", "summary", parameters, finder(state.find, find), list),
  );
  await drawList();
};
