// The line with what is now, asked again while the page is open and seen.

import { fetchReport } from "./api.js";
import { element, update } from "./dom.js";
import { periodOf } from "./period.js";

// A page that waits long for answers asks less often, so that open pages do not overload a service.
const [PAUSE_MIN_MS, PAUSE_MAX_MS, PAUSES_PER_ANSWER] = [1000, 60000, 4];
const MINUTE_MS = 60000;
const MINUTES = 30;
const EVENTS_MAX = 200;
// Time alone changes a page too: a day ends, or a shop goes quiet.
const REFRESH_MS = 5 * MINUTE_MS;

const occurredMs = (event) => Date.parse(event.occurred_at);

const eventText = (say, event, products) => {
  const type = say.name("type", event.type);
  const product = products.get(String(event.product_id));
  return product ? say.text("now.event", { type, product }) : type;
};

/** Return the line of a shop: its visitors of the last minutes, and the latest event. */
export const shopLine = (say, products) => ({
  limit: EVENTS_MAX,
  draw: (events) => {
    if (!events.length) return [say.text("now.none", { minutes: MINUTES })];
    const ids = new Set(events.map((event) => event.visitor_id).filter(Boolean));
    const text = say.text("now.visitors", { count: ids.size, minutes: MINUTES });
    // The report is ordered by receipt, but some events were sent late.
    const latest = events.reduce((a, b) => (occurredMs(b) > occurredMs(a) ? b : a));
    const event = eventText(say, latest, products);
    const time = say.minute(latest.occurred_at);
    return [
      element("strong", {}, events.length >= EVENTS_MAX ? `≥ ${text}` : text),
      element("span", { class: "latest" }, say.text("now.latest", { event, time })),
    ];
  },
});

/** Return the line of all shops: which had the event that arrived last. */
export const shopsLine = (say, nameOf) => ({
  limit: 1,
  draw: async ([latest]) => {
    if (!latest) return [say.text("now.all.none", { minutes: MINUTES })];
    const texts = { shop: await nameOf(latest), event: say.name("type", latest.type) };
    const time = say.minute(latest.occurred_at);
    return [element("strong", {}, say.text("now.all", { ...texts, time }))];
  },
});

/** Return a promise that is kept when the page is seen. */
const seen = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", () => resolve(seen()), { once: true });
  });

/**
 * Keep a node on the latest events of a shop, or of all for `shop` null, until the signal is
 * aborted. `onNews` is called and awaited when an event has arrived since the last look, and when it
 * was not called for five minutes; if it throws, it is called again.
 */
const keepLive = async (node, { say, shop, line, signal, onNews }) => {
  let newest;
  let refreshed = performance.now();
  while (!signal.aborted) {
    const began = performance.now();
    try {
      const from = new Date(Date.now() - MINUTES * MINUTE_MS).toISOString();
      const asked = { tenant: shop, from, limit: line.limit, tz: say.zone };
      const { rows } = await fetchReport("recent", asked, signal);
      update(node, ...(await line.draw(rows)));
      const latest = rows[0]?.event_id ?? null;
      const hasNews = newest !== undefined && latest && latest !== newest;
      if (hasNews || began - refreshed > REFRESH_MS) {
        await onNews();
        refreshed = performance.now();
      }
      newest = latest;
    } catch (error) {
      if (signal.aborted) return;
      update(node, say.text("now.failed"));
    }
    const wanted = PAUSES_PER_ANSWER * (performance.now() - began);
    const pause = Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, wanted));
    await new Promise((resolve) => setTimeout(resolve, pause));
    await seen();
  }
};

/**
 * Draw a page by `refresh`, which gets the period, and keep it and the node of its line fresh until
 * the signal is aborted. `line` says how many of the latest events of the shop are needed, of all
 * shops for `shop` null, and how they are drawn. Throw the errors of the first refresh;
 * `showProblem` shows those of later ones.
 */
export const drawLive = async (node, { state, period, refresh, showProblem, ...live }) => {
  const { say, signal } = live;
  const drawn = refresh(period);
  const onNews = async () => {
    await drawn.catch(() => {}); // an older answer must not replace a newer one
    const today = periodOf(state, say.zone); // the page may be open past midnight
    if (!today.isCurrent) return;
    await refresh(today).catch((error) => {
      if (!signal.aborted) showProblem(error);
      throw error; // keepLive asks again
    });
  };
  keepLive(node, { ...live, onNews });
  await drawn;
};
