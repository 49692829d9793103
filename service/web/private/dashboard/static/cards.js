// The cards: the numbers of the period. Each chooses the metric of the chart.

import { METRICS, addressOf } from "./address.js";
import { element } from "./dom.js";
import { amounts, changeNote } from "./names.js";

/** Return the text or the nodes of a metric's total. */
export const totalText = (say, metric, total, currency) => {
  if (metric === "revenue") return amounts(say, total, currency);
  if (metric === "rate") return total === null ? "–" : say.percent(total);
  return say.number(total);
};

const card = (say, metric, { total, change }, { state, isCompared, currency }) =>
  element(
    "li",
    {},
    element(
      "a",
      {
        class: "card",
        "data-key": metric,
        href: addressOf({ ...state, metric }),
        "aria-current": state.metric === metric ? "true" : undefined,
      },
      element("span", { class: "name" }, say.text(`card.${metric}`)),
      element("span", { class: `number ${metric}` }, totalText(say, metric, total, currency)),
      isCompared ? changeNote(say, change) : null,
    ),
  );

/** Return the items of the list of cards, one per metric. */
export const cardsOf = (say, totals, options) =>
  METRICS.map((metric) => card(say, metric, totals[metric], options));
