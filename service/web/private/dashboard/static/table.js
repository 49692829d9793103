// Panels, cards and tables.

import { reportUrl } from "./api.js";
import { element } from "./dom.js";
import { number, words } from "./messages.js";
import { momentText } from "./period.js";

const csvLink = (report, parameters) =>
  element(
    "a",
    { href: reportUrl(report, { ...parameters, format: "csv" }), download: `${report}.csv` },
    "CSV",
  );

/** Return a section with a heading and a link to its report as CSV. */
export const panel = (title, report, parameters, ...content) =>
  element(
    "section",
    {},
    element("div", { class: "head" }, element("h2", {}, title), csvLink(report, parameters)),
    ...content,
  );

export const widePanel = (...content) => {
  const section = panel(...content);
  section.classList.add("wide");
  return section;
};

export const card = (name, value, note = null) =>
  element(
    "li",
    { class: "card" },
    element("span", { class: "name" }, name),
    element("span", { class: "number" }, value),
    note,
  );

const isNumber = (value) => typeof value === "number";

const cell = (value) => {
  if (value instanceof HTMLTableCellElement) return value;
  if (value instanceof Node) return element("td", {}, value);
  return element(
    "td",
    { class: isNumber(value) && "n" },
    isNumber(value) ? number.format(value) : words(value),
  );
};

export const heading = (content, attributes = {}) =>
  element("th", { scope: "col", ...attributes }, content);

/** Return a table of headings and of rows of cells. A cell is a value, a node or a `td`. */
export const table = (caption, label, headings, rows) =>
  // The keyboard scrolls a table that is wider than a phone, so it takes the focus.
  element(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": label },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...headings)),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell)))),
    ),
  );

/** Return a table of a report's rows; `columns` are pairs of a field and its title. */
export const tableOfRows = (caption, columns, rows) =>
  table(
    caption,
    caption,
    columns.map(([field, title]) => heading(title, { class: isNumber(rows[0]?.[field]) && "n" })),
    rows.map((row) => columns.map(([field]) => row[field])),
  );

/** Return a closed table of a chart's rows; buckets without events are left out. */
export const tableOfChart = (spec, caption) => {
  const rows = spec.data.values
    .filter((row) => !("bucket" in row) || row.events)
    .map((row) => ("bucket" in row ? { ...row, bucket: momentText(row.bucket) } : row));
  const columns = Object.keys(rows[0] ?? {}).map((field) => [field, words(field)]);
  return element(
    "details",
    {},
    element("summary", {}, "Table"),
    tableOfRows(caption, columns, rows),
  );
};
