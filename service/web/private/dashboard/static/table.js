// Panels, and tables whose rows filter the page.

import { filteredAddress } from "./address.js";
import { reportUrl } from "./api.js";
import { element, shape } from "./dom.js";
import { valueName } from "./names.js";

/** Return the head of a panel: its title, and a link to its report as CSV if it has one. */
export const head = (say, title, report, parameters) =>
  element(
    "div",
    { class: "head" },
    element("h2", {}, title),
    report &&
      element(
        "a",
        {
          class: "csv",
          href: reportUrl(report, { ...parameters, format: "csv" }),
          download: `${report}.csv`,
          "aria-label": say.text("csv.of", { title }),
        },
        say.text("csv"),
      ),
  );

/**
 * Return a table. A cell is a text, a node, a `th` or a `td`; the first column is no number. With
 * `keys`, one per row, a row stays the same element wherever it moves.
 */
export const table = (caption, headings, rows, keys = []) => {
  const heading = (content, index) =>
    content instanceof HTMLTableCellElement
      ? content
      : element("th", { scope: "col", class: index > 0 && "n" }, content);
  const cell = (content, index) =>
    content instanceof HTMLTableCellElement
      ? content
      : element("td", { class: index > 0 && "n" }, content);
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...headings.map(heading))),
    element(
      "tbody",
      {},
      ...rows.map((row, index) => element("tr", { "data-key": keys[index] }, ...row.map(cell))),
    ),
  );
};

/** Return the text of a panel without rows. */
export const emptyPanel = (say) => element("p", { class: "empty" }, say.text("panel.empty"));

const barOf = (share, kind) =>
  shape(
    "svg",
    { class: "share", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: kind, width: (100 * share).toFixed(2), height: 10 }),
  );

/** Return a cell with a name and behind it a bar; `kind` is the class of its colour. */
export const nameCell = (content, share, kind = "plain") =>
  element("td", { class: "name" }, barOf(share, kind), content);

/**
 * Return the name of a row as a link that filters the page by it, or that removes its filters if
 * they are set. `filters` are those of the row by their names; the value of the first is the name. A
 * row without a value has no link.
 */
export const filterLink = (say, { filters, state, products }) => {
  const names = Object.keys(filters);
  const [first] = names;
  const name = valueName(say, first, filters[first], products);
  if (filters[first] === null || filters[first] === undefined) return element("span", {}, name);
  const isSet = names.every((filter) => state.filters[filter] === String(filters[filter]));
  const changes = isSet ? Object.fromEntries(names.map((filter) => [filter, null])) : filters;
  const label = say.text(isSet ? "filter.remove" : "filter.on", {
    name: say.text(`name.${first}`),
    value: name,
  });
  return element(
    "a",
    {
      href: filteredAddress(state, changes),
      "aria-label": `${name}. ${label}`,
      "aria-current": isSet ? "true" : undefined,
    },
    name,
  );
};
