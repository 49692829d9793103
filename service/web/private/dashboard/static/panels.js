// The panels of a shop's page below the chart: the report of each, and how its rows are drawn.

import { addressOf } from "./address.js";
import { fetchReport } from "./api.js";
import { attributionOf, choicesOf } from "./attribution.js";
import { element } from "./dom.js";
import { visitFacts } from "./facts.js";
import { goalRows } from "./goals.js";
import { hoursMap } from "./hours.js";
import { GOALS, LISTS, ROWS, funnelTable, isCut, isTelling, listTable, typesTable } from "./lists.js";
import { qualityList } from "./quality.js";
import { head } from "./table.js";

const CSV_ROWS = 10000;

const listPanel = (list) => ({
  list,
  key: list.key,
  report: list.report,
  more: { limit: list.limit },
  isShown: list.isShown ?? ((rows) => isTelling(list, rows)),
  isCut,
  draw: (say, rows, context) => listTable(say, list, rows.slice(0, ROWS), context),
});

const lists = new Map(LISTS.map((list) => [list.key, listPanel(list)]));

/** Return the panel of what led to the sales, by what the reader chose. */
const attributionPanel = (by) => ({
  ...listPanel(attributionOf(by)),
  more: { by, limit: ROWS + 1 },
  choices: choicesOf,
  note: "attribution.rule",
});

/**
 * Return the panels in the order of a phone: what an owner asks first comes first. Without events
 * only the last is shown; with events, each whose rows pass its `isShown`, if it has one.
 */
const panelsOf = ({ by }) => [
  lists.get("channels"),
  lists.get("products"),
  { key: "funnel", report: "funnel", draw: funnelTable, note: "funnel.rule" },
  attributionPanel(by),
  lists.get("sources"),
  lists.get("campaigns"),
  lists.get("pages"),
  { key: "types", report: "summary", draw: typesTable },
  lists.get("carts"),
  lists.get("countries"),
  lists.get("devices"),
  lists.get("browsers"),
  { ...listPanel(GOALS), fetch: goalRows },
  { key: "visits", report: "visits", draw: visitFacts },
  { key: "hours", report: "hours", draw: hoursMap },
  { key: "quality", report: "quality", draw: qualityList, isLast: true },
];

/** Return the panel of the list that is open in the state; undefined if there is none. */
export const openPanelOf = (state) =>
  panelsOf(state).find((panel) => panel.list && panel.key === state.open);

/** Return the rows of a panel, at most `limit` of them if it is the panel of a list. */
export const fetchRows = async ({ report, more, fetch }, parametersOf, signal, limit) => {
  const limits = limit ? { ...more, limit } : (more ?? {});
  if (fetch) return fetch(parametersOf, signal, limits.limit);
  const { rows } = await fetchReport(report, parametersOf(report, limits), signal);
  return rows;
};

/**
 * Fetch the rows of the state's panels whose report the service has; null if a report fails.
 * `parametersOf` returns a report's parameters; `answered` has the rows of reports that were fetched
 * already.
 */
export const fetchPanels = (reports, { state, parametersOf, answered, signal }) => {
  const rowsOf = async (panel) => {
    const isAnswered = !panel.fetch && answered.has(panel.report);
    if (isAnswered) return (await answered.get(panel.report)).rows;
    return fetchRows(panel, parametersOf, signal);
  };
  const panels = panelsOf(state).filter(({ report }) => reports.has(report));
  return Promise.all(
    panels.map(async (panel) => ({ ...panel, rows: await rowsOf(panel).catch(() => null) })),
  );
};

/** Return whether a panel has something to show; a failure counts, because its section says so. */
const isTold = ({ isShown, rows }) => !isShown || !rows || isShown(rows);

/** Return the head of a panel: its title, and its CSV if one report has its rows. */
export const panelHead = (say, { key, report, more, fetch }, parametersOf) => {
  const title = say.text(`panel.${key}`);
  if (fetch) return head(say, title);
  return head(say, title, report, parametersOf(report, { ...more, limit: CSV_ROWS }));
};

export const failedPanel = (say) => element("p", { class: "empty" }, say.text("panel.failed"));

/** Return the link that opens the whole of a list. */
const openLink = (say, key, state) =>
  element(
    "a",
    {
      class: "all",
      href: addressOf({ ...state, open: key }),
      "aria-label": say.text("list.all.of", { title: say.text(`panel.${key}`) }),
    },
    say.text("list.all"),
  );

/** Return the sections of the panels; without events, only those that are shown even then. */
export const drawPanels = (say, panels, { hasEvents, parametersOf, ...context }) =>
  panels
    .filter((panel) => panel.isLast || (hasEvents && isTold(panel)))
    .map((panel) => {
      const { key, choices, draw, rows, note, isCut: cut, isLast } = panel;
      return element(
        "section",
        { "data-key": key, class: isLast && "wide quality" },
        panelHead(say, panel, parametersOf),
        choices?.(say, context.state),
        rows ? draw(say, rows, context) : failedPanel(say),
        rows && cut?.(rows) && openLink(say, key, context.state),
        note && element("p", { class: "note" }, say.text(note)),
      );
    });
