// The line with what is now, asked again while the page is open and seen.

import { fetchReport } from "./api.js";
import { element, update } from "./dom.js";
import { valueName } from "./names.js";

// A page that waits long for answers asks less often, so that open pages do not overload a service.
const [PAUSE_MIN_MS, PAUSE_MAX_MS, PAUSES_PER_ANSWER] = [1000, 10000, 4];
const MINUTE_MS = 60000;
const MINUTES = 30;
const EVENTS_MAX = 200;

const occurredMs = (event) => Date.parse(event.occurred_at);

const eventText = (say, event, products) => {
  const type = say.name("type", event.type);
  if (!event.product_id) return type;
  const product = valueName(say, "product", event.product_id, products);
  return say.text("now.event", { type, product });
};

const drawLine = (line, say, events, products) => {
  if (!events.length) {
    update(line, say.text("now.none", { minutes: MINUTES }));
    return;
  }
  const ids = new Set(events.map((event) => event.visitor_id).filter(Boolean));
  const text = say.text("now.visitors", { count: ids.size, minutes: MINUTES });
  // The report is ordered by receipt, but some events were sent late.
  const latest = events.reduce((a, b) => (occurredMs(b) > occurredMs(a) ? b : a));
  const event = eventText(say, latest, products);
  const time = say.minute(latest.occurred_at);
  update(
    line,
    element("strong", {}, events.length >= EVENTS_MAX ? `≥ ${text}` : text),
    element("span", { class: "latest" }, say.text("now.latest", { event, time })),
  );
};

/** Return a promise that is kept when the page is seen. */
const seen = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", () => resolve(seen()), { once: true });
  });

/**
 * Keep a line on the latest events of a shop until the signal is aborted. `onNews` is called and
 * awaited when an event has arrived since the last look; if it throws, it is called again.
 */
export const keepLive = async (line, { say, shop, products, signal, onNews }) => {
  let newest;
  while (!signal.aborted) {
    const began = performance.now();
    try {
      const from = new Date(Date.now() - MINUTES * MINUTE_MS).toISOString();
      const asked = { tenant: shop, from, limit: EVENTS_MAX, tz: say.zone };
      const { rows } = await fetchReport("recent", asked, signal);
      drawLine(line, say, rows, products);
      const latest = rows[0]?.event_id;
      if (newest !== undefined && latest && latest !== newest) await onNews();
      newest = latest ?? null;
    } catch (error) {
      if (signal.aborted) return;
      update(line, say.text("now.failed"));
    }
    const wanted = PAUSES_PER_ANSWER * (performance.now() - began);
    const pause = Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, wanted));
    await new Promise((resolve) => setTimeout(resolve, pause));
    await seen();
  }
};
