// The sentences about the events that arrived: accepted, repeated, refused.

import { element } from "./dom.js";

const reasonText = (say, reason) =>
  say.has(`reason.${reason}`)
    ? say.text(`reason.${reason}`)
    : say.text("reason.other", { reason: reason ?? "–" });

/** Return the sentence that explains a row of the report `quality`. */
const sentence = (say, { outcome, reason, events, value }) =>
  say.text(`quality.${outcome}`, {
    count: events,
    reason: outcome === "rejected" ? reasonText(say, reason) : "",
    value: outcome === "another-amount" ? say.money(Number(value), reason) : "",
  });

/** Return the rows of the report `quality` as a list; outcomes without events are left out. */
export const qualityList = (say, rows, { state }) =>
  element(
    "ul",
    {},
    ...rows
      .filter((row) => row.events || row.outcome === "accepted")
      .map((row) => element("li", {}, sentence(say, row))),
    Object.keys(state.filters).length > 0 && element("li", {}, say.text("quality.whole")),
  );
