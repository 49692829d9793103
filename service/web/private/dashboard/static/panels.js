// The panels of a shop's page below the chart: the report of each, and how its rows are drawn.

import { fetchReport } from "./api.js";
import { element } from "./dom.js";
import { visitFacts } from "./facts.js";
import { goalRows } from "./goals.js";
import { hoursMap } from "./hours.js";
import {
  ATTRIBUTION,
  GOALS,
  LISTS,
  funnelTable,
  isCut,
  isTelling,
  listTable,
  typesTable,
} from "./lists.js";
import { qualityList } from "./quality.js";
import { head } from "./table.js";

const CSV_ROWS = 10000;

const listPanel = (list) => ({
  key: list.key,
  report: list.report,
  more: { limit: list.limit },
  isShown: list.isShown ?? ((rows) => isTelling(list, rows)),
  isCut,
  draw: (say, rows, context) => listTable(say, list, rows, context),
});

const lists = new Map(LISTS.map((list) => [list.key, listPanel(list)]));

/**
 * The panels in the order of a phone: what an owner asks first comes first. Without events only the
 * last is shown; with events, each whose rows pass its `isShown`, if it has one.
 */
const PANELS = [
  lists.get("channels"),
  lists.get("products"),
  { key: "funnel", report: "funnel", draw: funnelTable },
  {
    ...listPanel(ATTRIBUTION),
    more: { by: "channel" },
    note: "attribution.rule",
  },
  lists.get("sources"),
  lists.get("campaigns"),
  lists.get("pages"),
  { key: "types", report: "summary", draw: typesTable },
  lists.get("carts"),
  { ...listPanel(GOALS), fetch: goalRows },
  lists.get("countries"),
  lists.get("devices"),
  lists.get("browsers"),
  { key: "visits", report: "visits", draw: visitFacts },
  { key: "hours", report: "hours", draw: hoursMap },
  { key: "quality", report: "quality", draw: qualityList, isLast: true },
];

/**
 * Fetch the rows of the panels whose report the service has; null if a report fails. `parametersOf`
 * returns a report's parameters; `answered` has the rows of reports that were fetched already.
 */
export const fetchPanels = (reports, parametersOf, answered, signal) => {
  const rowsOf = async ({ report, more, fetch }) => {
    if (fetch) return fetch(parametersOf, signal);
    if (answered.has(report)) return (await answered.get(report)).rows;
    const { rows } = await fetchReport(report, parametersOf(report, more), signal);
    return rows;
  };
  const panels = PANELS.filter(({ report }) => reports.has(report));
  return Promise.all(
    panels.map(async (panel) => ({ ...panel, rows: await rowsOf(panel).catch(() => null) })),
  );
};

/** Return whether a panel has something to show; a failure counts, because its section says so. */
const isTold = ({ isShown, rows }) => !isShown || !rows || isShown(rows);

/** Return the sections of the panels; without events, only those that are shown even then. */
export const drawPanels = (say, panels, { hasEvents, parametersOf, ...context }) =>
  panels
    .filter((panel) => panel.isLast || (hasEvents && isTold(panel)))
    .map(({ key, report, more, draw, rows, note, isCut: cut, isLast }) =>
      element(
        "section",
        { "data-key": key, class: isLast && "wide quality" },
        head(
          say,
          say.text(`panel.${key}`),
          report,
          parametersOf(report, { ...more, limit: CSV_ROWS }),
        ),
        rows
          ? draw(say, rows, context)
          : element("p", { class: "empty" }, say.text("panel.failed")),
        rows && cut?.(rows) && element("p", { class: "note" }, say.text("panel.more")),
        note && element("p", { class: "note" }, say.text(note)),
      ),
    );
