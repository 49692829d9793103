// The page of one shop.

import { fetchReport } from "./api.js";
import { bars, lines } from "./charts.js";
import { element } from "./dom.js";
import { liveStrip } from "./live.js";
import {
  changeText,
  emptyPeriod,
  nothing,
  number,
  qualityText,
  shopName,
  trackerLine,
} from "./messages.js";
import { axisText, comparedText, intervalOf, zone } from "./period.js";
import { card, panel, tableOfChart, tableOfRows, widePanel } from "./table.js";

const PRODUCTS_MAX = 10;
const SOURCES_MAX = 8;
const PRODUCT_COLUMNS = [
  ["name", "Product"],
  ["views", "Views"],
  ["cart_adds", "Carts"],
  ["purchases", "Sales"],
  ["revenue", "Revenue"],
  ["currency", "Currency"],
];
const REVENUE_COLUMNS = [
  ["currency", "Currency"],
  ["transactions", "Sales"],
  ["value", "Value"],
];

const ratio = (part, whole) => (whole ? part / whole : null);

const growth = (now, before) => (now === null || !before ? null : now / before - 1);

/** Return the growth of revenue; null if there are several currencies, which cannot be added up. */
const revenueGrowth = (now, before) => {
  const currencies = new Set([...now, ...before].map((row) => row.currency));
  return currencies.size === 1 ? growth(now[0]?.value ?? 0, before[0]?.value) : null;
};

const changeNote = (change) => {
  if (change === null || change === undefined)
    return element("span", { class: "change" }, "nothing to compare with");
  const text = changeText(change);
  const [direction, arrow] = { "+": ["up", "▲ "], "−": ["down", "▼ "] }[text[0]] ?? ["", ""];
  return element("span", { class: `change ${direction}` }, arrow + text);
};

const amounts = (rows) =>
  rows.length
    ? element(
        "span",
        { class: rows.length > 1 && "several" },
        ...rows.map((row) =>
          element("span", {}, `${number.format(row.value)} ${row.currency ?? ""}`.trim()),
        ),
      )
    : "0";

const cards = ({ row, revenue, revenueBefore, compared }) => {
  const change = (value) => (compared && row.events_before ? changeNote(value) : null);
  const contacts =
    row.whatsapp_click + row.call + row.call_click + row.maps_click + row.location_view;
  const rate = ratio(row.transactions, row.visitors);
  const rateBefore = ratio(row.transactions_before, row.visitors_before);
  return element(
    "ul",
    { class: "cards", "aria-label": "Numbers of the period" },
    card("Visitors", number.format(row.visitors), change(row.visitors_change)),
    card("Events", number.format(row.events), change(row.events_change)),
    card("Contacts", number.format(contacts), change(row.contacts_change)),
    card("Sales", number.format(row.transactions), change(row.transactions_change)),
    card(
      "Conversion rate",
      rate === null ? "–" : `${number.format(100 * rate)}%`,
      change(growth(rate, rateBefore)),
    ),
    card("Revenue", amounts(revenue.rows), change(revenueGrowth(revenue.rows, revenueBefore.rows))),
  );
};

const comparison = (row, compared) => {
  const text = row.events_before
    ? `Compared with ${compared}.`
    : `Nothing to compare with: there were no events ${compared}.`;
  return element("p", { class: "compared" }, text);
};

const dropNote = (row, index, rows) => {
  const before = rows[index - 1]?.visitors;
  if (!before) return null;
  return row.visitors <= before
    ? `${number.format(100 - (100 * row.visitors) / before)}% of those before went no further`
    : "more than in the step before";
};

const timeseriesPanel = (spec, parameters) =>
  widePanel(
    "Events over time",
    "timeseries",
    parameters,
    ...lines(spec, { label: "Events over time", when: axisText(parameters.interval) }),
    tableOfChart(spec, `Events per ${parameters.interval}`),
  );

const funnelPanel = (spec, parameters) =>
  panel(
    "Funnel",
    "funnel",
    parameters,
    bars(spec, { note: dropNote, value: (visitors) => `${number.format(visitors)} visitors` }),
    tableOfChart(spec, "Visitors and events of each step"),
  );

const sourcesPanel = (spec, parameters) =>
  panel(
    "Sources",
    "sources",
    parameters,
    bars(spec),
    tableOfChart(spec, "Where visitors came from"),
  );

const productsPanel = ({ rows }, parameters) => {
  const named = rows.map((row) => ({ ...row, name: row.name ?? `#${row.product_id}` }));
  return panel(
    "Top products",
    "top-products",
    parameters,
    rows.length
      ? tableOfRows("Most sold and seen", PRODUCT_COLUMNS, named)
      : nothing("No product was seen."),
  );
};

const revenuePanel = ({ rows }, parameters) =>
  panel(
    "Revenue",
    "revenue",
    parameters,
    rows.length ? tableOfRows("By currency", REVENUE_COLUMNS, rows) : nothing("Nothing was sold."),
  );

const qualityPanel = ({ rows }, parameters) => {
  const shown = rows.filter((row) => row.events || row.outcome === "accepted");
  return widePanel(
    "Data quality",
    "quality",
    parameters,
    element("ul", {}, ...shown.map((row) => element("li", {}, qualityText(row)))),
  );
};

/** Return the directory's row of a shop, or only its id if it is not in the directory. */
const fetchTenant = async (shop, signal) => {
  const { rows, parameters } = await fetchReport("shops", { tenant: shop, limit: 1 }, signal);
  return rows[0] ?? { tenant_id: parameters.tenant };
};

/** Return the reports for the cards; `row` is undefined if the shop has no events. */
const fetchNumbers = async (parameters, { compare, period, signal }) => {
  const [summary, revenue] = await Promise.all([
    fetchReport("summary", parameters, signal),
    fetchReport("revenue", parameters, signal),
  ]);
  const { compared_from: from, compared_to: to } = summary.parameters;
  const compared = compare ? comparedText(summary.parameters, period) : null;
  const before = compared
    ? await fetchReport("revenue", { ...parameters, from, to }, signal)
    : { rows: [] };
  const [row] = summary.rows;
  return { summary, row, revenue, revenueBefore: before, compared };
};

const fetchPanels = (parameters, interval, signal) => {
  const chart = (name, more) =>
    fetchReport(name, { ...parameters, ...more, format: "vega-lite" }, signal);
  return Promise.all([
    chart("timeseries", { interval }),
    chart("funnel"),
    fetchReport("top-products", { ...parameters, limit: PRODUCTS_MAX }, signal),
    chart("sources", { limit: SOURCES_MAX }),
    fetchReport("quality", parameters, signal),
  ]);
};

/** Return the numbers above the panels, or advice if the shop has no events. */
const overview = (numbers, tenant) => {
  const { row, compared } = numbers;
  const advice = "Choose a longer period, or add this line to the shop’s pages:";
  return [
    row && cards(numbers),
    row && compared && comparison(row, compared),
    !row?.events && emptyPeriod(advice, trackerLine(tenant)),
  ].filter(Boolean);
};

/**
 * Draw the page of the shop `state.shop` into `view`. `page` shows the title and each snapshot.
 * Throw the errors of fetchReport.
 */
export const drawShop = async (view, { state, period, signal, page }) => {
  const interval = intervalOf(period);
  const parameters = { tenant: state.shop, from: period.from, to: period.to, tz: zone };
  const panels = fetchPanels(parameters, interval, signal);
  panels.catch(() => {}); // A failure is reported below, when the panels are awaited.
  const numbers = await fetchNumbers(parameters, { compare: state.compare, period, signal });
  const isEmpty = !numbers.row?.events;
  const tenant = isEmpty ? await fetchTenant(state.shop, signal) : numbers.row;
  page.showSnapshot(numbers.summary);
  if (state.isChosen) page.showTitle(shopName(tenant));
  const live = liveStrip(state.shop, signal, page.showSnapshot);
  const grid = element("div", { class: "grid" }, live);
  view.replaceChildren(...overview(numbers, tenant), grid);
  const [series, funnel, products, sources, quality] = await panels;
  if (!isEmpty)
    grid.append(
      timeseriesPanel(series, { ...parameters, interval }),
      funnelPanel(funnel, parameters),
      sourcesPanel(sources, parameters),
      productsPanel(products, parameters),
      revenuePanel(numbers.revenue, parameters),
    );
  grid.append(qualityPanel(quality, parameters));
};
