// The strip with the events of the last minutes, refreshed while the page is open.

import { fetchReport } from "./api.js";
import { spark } from "./charts.js";
import { element } from "./dom.js";
import { number, words } from "./messages.js";
import { secondText, zone } from "./period.js";

const REFRESH_MS = 5000;
const MINUTE_MS = 60000;
const MINUTES = 30;
const EVENTS_MAX = 200;
const EVENTS_LISTED = 6;

const occurredMs = (event) => Date.parse(event.occurred_at);

/** Return the number of events in each of the last minutes, oldest first. */
const countPerMinute = (events, nowMs) => {
  const counts = Array(MINUTES).fill(0);
  for (const event of events) {
    const age = Math.max(0, Math.floor((nowMs - occurredMs(event)) / MINUTE_MS));
    if (age < MINUTES) counts[MINUTES - 1 - age] += 1;
  }
  return counts;
};

const eventText = (event) => {
  const product = event.product_id ? ` #${event.product_id}` : "";
  return `${secondText(event.occurred_at)} ${words(event.type)}${product}`;
};

const drawEvents = (strip, events) => {
  const count = number.format(events.length) + (events.length >= EVENTS_MAX ? "+" : "");
  // The report is ordered by receipt, but some events were sent late.
  const latest = events.toSorted((a, b) => occurredMs(b) - occurredMs(a)).slice(0, EVENTS_LISTED);
  strip.replaceChildren(
    element("h2", {}, "Now"),
    element(
      "p",
      { "aria-live": "polite" },
      element("strong", {}, count),
      ` events in the last ${MINUTES} minutes`,
    ),
    element(
      "span",
      { class: "spark" },
      spark(countPerMinute(events, Date.now()), `Events per minute, the last ${MINUTES} minutes`),
    ),
    element(
      "ol",
      { "aria-label": "Latest events" },
      ...latest.map((event) => element("li", {}, eventText(event))),
    ),
  );
};

/** Return a strip that shows the shop's latest events, until the signal is aborted. `onReport` gets each report. */
export const liveStrip = (shop, signal, onReport) => {
  const strip = element("section", { class: "live wide", "aria-label": `Last ${MINUTES} minutes` });
  let timer;
  signal.addEventListener("abort", () => clearTimeout(timer));
  const refresh = async () => {
    const from = new Date(Date.now() - MINUTES * MINUTE_MS).toISOString();
    try {
      const report = await fetchReport(
        "recent",
        { tenant: shop, from, tz: zone, limit: EVENTS_MAX },
        signal,
      );
      drawEvents(strip, report.rows);
      onReport(report);
    } catch (error) {
      if (signal.aborted) return;
      strip.replaceChildren(
        element("p", {}, `The live numbers cannot be read now: ${error.message}`),
      );
    }
    timer = setTimeout(refresh, REFRESH_MS);
  };
  refresh();
  return strip;
};
