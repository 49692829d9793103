// The dashboard: all shops, or one. Every choice is in the address; every number is the report API's.

import { bars, element, lines, number, spark } from "./charts.js";

const LIVE_EVERY_MS = 5000;
const LIVE_MINUTES = 30;
const RECENT_MAX = 200;
const DAY_MS = 86400000;
const SHOPS_SHOWN = 100;
const TYPING_MS = 200;
const PERIODS = { today: 1, "7d": 7, "30d": 30, "90d": 90 };
const REASONS = {
  "product-not-found": "product not found",
  "tenant-not-found": "shop not found or not active",
  "not-json": "not JSON",
  "invalid-payload": "fields that are missing or wrong",
  "body-too-large": "too large",
  "media-type-unsupported": "not sent as JSON",
  "directory-unavailable": "the directory could not be read",
};
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const view = document.getElementById("view");
const problem = document.getElementById("problem");
const form = document.getElementById("period");
let turn = 0;
let liveTimer = 0;

// -- the address ----------------------------------------------------------------------------

const stateOf = () => {
  const asked = new URLSearchParams(location.search);
  const period = asked.get("period") ?? (asked.has("from") ? "custom" : "7d");
  return {
    shop: asked.get("shop"),
    period: period in PERIODS || period === "custom" ? period : "7d",
    from: asked.get("from") ?? "",
    to: asked.get("to") ?? "",
    compare: asked.get("compare") !== "no",
    sort: asked.get("sort") ?? "-visitors",
    find: asked.get("find") ?? "",
    shown: Math.max(SHOPS_SHOWN, Number(asked.get("shown")) || 0),
  };
};

const addressOf = (state) => {
  const asked = new URLSearchParams();
  if (state.shop) asked.set("shop", state.shop);
  if (state.period === "custom") {
    asked.set("from", state.from);
    asked.set("to", state.to);
  } else if (state.period !== "7d") asked.set("period", state.period);
  if (!state.compare) asked.set("compare", "no");
  if (state.sort !== "-visitors") asked.set("sort", state.sort);
  if (state.find) asked.set("find", state.find);
  if (state.shown > SHOPS_SHOWN) asked.set("shown", state.shown);
  const text = asked.toString();
  return text ? `/?${text}` : "/";
};

const go = (change) => {
  history.pushState(null, "", addressOf({ ...stateOf(), ...change }));
  show();
};

const dateText = (moment) =>
  new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).format(moment);

const daysOf = (state) => {
  if (state.period !== "custom") {
    const now = Date.now();
    const days = PERIODS[state.period];
    return { from: dateText(now - (days - 1) * DAY_MS), to: dateText(now), days };
  }
  const to = state.to || dateText(Date.now());
  const from = state.from || to;
  return {
    from,
    to,
    days: Math.max(1, Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1),
  };
};

/** The period of the same length before one; a day is named by its date alone. */
const periodBefore = ({ from, days }) => {
  const earlier = (count) => new Date(Date.parse(from) - count * DAY_MS).toISOString().slice(0, 10);
  return { from: earlier(days), to: earlier(1) };
};

const stepOf = (days) =>
  days <= 2 ? ["hour", 3600000] : days <= 92 ? ["day", DAY_MS] : ["week", 7 * DAY_MS];

// -- the reports ----------------------------------------------------------------------------

const urlOf = (name, given) => {
  const asked = new URLSearchParams(Object.entries(given).filter(([, text]) => text));
  return `/api/v1/reports/${name}?${asked}`;
};

const ask = async (name, given) => {
  const answer = await fetch(urlOf(name, given), { headers: { Accept: "application/json" } });
  if (answer.status === 401) {
    location.assign(`/signin?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Error("Sign in");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? `The service answered ${answer.status}`);
  return body;
};

const csvLink = (name, given) =>
  element("a", { href: urlOf(name, { ...given, format: "csv" }), download: `${name}.csv` }, "CSV");

// -- pieces of a page -----------------------------------------------------------------------

const panel = (title, link, ...content) =>
  element(
    "section",
    {},
    element("div", { class: "head" }, element("h2", {}, title), link),
    ...content,
  );

const wide = (made) => {
  made.classList.add("wide");
  return made;
};

const words = (text) => String(text ?? "–").replaceAll("_", " ");

const cell = (value) =>
  typeof value === "number"
    ? element("td", { class: "n" }, number.format(value))
    : element("td", {}, value instanceof Node ? value : words(value));

// What may be wider than a phone is reached by the keyboard too.
const scroll = (label, content) =>
  element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, content);

const table = (caption, columns, rows) =>
  scroll(
    caption,
    element(
      "table",
      {},
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...columns.map(([name, text]) =>
            element(
              "th",
              { scope: "col", class: typeof rows[0]?.[name] === "number" ? "n" : undefined },
              text,
            ),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map((row) => element("tr", {}, ...columns.map(([name]) => cell(row[name])))),
      ),
    ),
  );

const tableOf = (spec, title) => {
  const rows = spec.data.values;
  const columns = Object.keys(rows[0] ?? {}).map((name) => [name, words(name)]);
  const shown = rows.map((row) => ("bucket" in row ? { ...row, bucket: moment(row.bucket) } : row));
  return element("details", {}, element("summary", {}, "Table"), table(title, columns, shown));
};

const moment = (at) =>
  new Intl.DateTimeFormat("en", { timeZone: zone, dateStyle: "medium", timeStyle: "short" }).format(
    new Date(at),
  );

const changeOf = (change) => {
  if (change === null || change === undefined)
    return element("span", { class: "change" }, "nothing to compare with");
  const percent = Math.round(100 * change);
  const direction = percent > 0 ? "up" : percent < 0 ? "down" : "";
  const sign = percent > 0 ? "▲ +" : percent < 0 ? "▼ −" : "";
  return element(
    "span",
    { class: `change ${direction}` },
    `${sign}${number.format(Math.abs(percent))}% against the period before`,
  );
};

const card = (name, value, change) =>
  element(
    "li",
    { class: "card" },
    element("span", { class: "name" }, name),
    element("span", { class: "number" }, value),
    change ?? null,
  );

const money = (rows) =>
  rows.length
    ? element(
        "span",
        { class: rows.length > 1 ? "several" : undefined },
        ...rows.map((row) =>
          element("span", {}, `${number.format(row.value)} ${row.currency ?? ""}`.trim()),
        ),
      )
    : "0";

const nothing = (text) => element("p", { class: "empty" }, text);

// -- one shop -------------------------------------------------------------------------------

const ratio = (part, whole) => (whole ? part / whole : null);

const growth = (now, before) => (now === null || !before ? null : now / before - 1);

/** Of revenue in one currency; amounts of several are not added, nor compared. */
const revenueGrowth = (now, before) => {
  const currencies = new Set([...now, ...before].map((row) => row.currency));
  return currencies.size === 1 ? growth(now[0]?.value ?? 0, before[0]?.value) : null;
};

const cards = (row, revenue, revenueBefore, compare) => {
  const change = (value) => (compare && row.events_before ? changeOf(value) : null);
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
    card("Revenue", money(revenue), change(revenueGrowth(revenue, revenueBefore))),
  );
};

const dropNote = (row, index, rows) => {
  const before = rows[index - 1]?.visitors;
  if (!index || !before) return null;
  return row.visitors <= before
    ? `${number.format(100 - (100 * row.visitors) / before)}% of those before went no further`
    : "more than in the step before";
};

const qualityWords = (rows) => {
  const told = ({ outcome, reason, events }) => {
    const count = number.format(events);
    const verb = events === 1 ? "was" : "were";
    if (outcome === "accepted")
      return `${count} ${events === 1 ? "event" : "events"} ${verb} accepted.`;
    if (outcome === "bots")
      return `${count} of them came from crawlers, and are left out of the numbers here.`;
    if (outcome === "duplicates") return `${count} came again, and ${verb} counted once.`;
    return `${count} ${verb} refused: ${REASONS[reason] ?? words(reason).replaceAll("-", " ")}.`;
  };
  const worth = rows.filter((row) => row.events || row.outcome === "accepted");
  return element("ul", {}, ...worth.map((row) => element("li", {}, told(row))));
};

const snippet = (tenant) =>
  `<script defer src="${location.protocol}//YOUR-PUBLIC-ADDRESS/beacon.js" data-tenant="${tenant?.tenant_id ?? "ID"}" data-slug="${tenant?.tenant ?? "SLUG"}"></script>`;

const emptyShop = (shop) =>
  element(
    "div",
    { class: "empty" },
    element(
      "p",
      {},
      "No events in this period. Choose a longer one, or put this line into the shop’s pages:",
    ),
    element("pre", {}, element("code", {}, snippet({ tenant: shop, tenant_id: "ID" }))),
  );

const drawShop = async (state, mine) => {
  const period = daysOf(state);
  const [interval, stepMs] = stepOf(period.days);
  const given = { tenant: state.shop, from: period.from, to: period.to, tz: zone };
  const chart = (name, more = {}) => ask(name, { ...given, ...more, format: "vega-lite" });
  const rest = Promise.all([
    chart("timeseries", { interval }),
    chart("funnel"),
    ask("top-products", { ...given, limit: 10 }),
    chart("sources", { limit: 8 }),
    ask("quality", given),
  ]);
  rest.catch(() => {}); // told when it is waited for
  const [summary, revenue, earlier] = await Promise.all([
    ask("summary", given),
    ask("revenue", given),
    state.compare ? ask("revenue", { ...given, ...periodBefore(period) }) : { rows: [] },
  ]);
  if (mine !== turn) return;
  tellSnapshot(summary);
  const row = summary.rows[0];
  const live = element("section", {
    class: "live wide",
    "aria-label": `Last ${LIVE_MINUTES} minutes`,
  });
  const body = element("div", { class: "grid" }, live);
  const head = row ? cards(row, revenue.rows, earlier.rows, state.compare) : emptyShop(state.shop);
  view.replaceChildren(head, body);
  watchLive(live, state.shop, mine);
  const [series, funnel, products, sources, quality] = await rest;
  if (mine !== turn) return;
  if (row) {
    const when = (at) =>
      new Intl.DateTimeFormat(
        "en",
        interval === "hour"
          ? { timeZone: zone, hour: "2-digit", minute: "2-digit" }
          : { timeZone: zone, month: "short", day: "numeric" },
      ).format(at);
    body.append(
      wide(
        panel(
          "Events over time",
          csvLink("timeseries", { ...given, interval }),
          ...lines(series, { label: "Events over time", when, stepMs }),
          tableOf(series, `Events per ${interval}`),
        ),
      ),
      panel(
        "Funnel",
        csvLink("funnel", given),
        ...bars(funnel, { note: dropNote, value: (value) => `${number.format(value)} visitors` }),
        tableOf(funnel, "Visitors and events of each step"),
      ),
      panel(
        "Sources",
        csvLink("sources", given),
        ...bars(sources),
        tableOf(sources, "Where visitors came from"),
      ),
      panel(
        "Top products",
        csvLink("top-products", given),
        products.rows.length
          ? table(
              "Most sold and seen",
              [
                ["name", "Product"],
                ["views", "Views"],
                ["cart_adds", "Carts"],
                ["purchases", "Sales"],
                ["revenue", "Revenue"],
                ["currency", "Currency"],
              ],
              products.rows.map((one) => ({ ...one, name: one.name ?? `#${one.product_id}` })),
            )
          : nothing("No product was seen."),
      ),
      panel(
        "Revenue",
        csvLink("revenue", given),
        revenue.rows.length
          ? table(
              "By currency",
              [
                ["currency", "Currency"],
                ["transactions", "Sales"],
                ["value", "Value"],
              ],
              revenue.rows,
            )
          : nothing("Nothing was sold."),
      ),
    );
  }
  body.append(
    wide(
      panel(
        "Data quality",
        csvLink("quality", { tenant: state.shop, from: period.from, to: period.to, tz: zone }),
        qualityWords(quality.rows),
      ),
    ),
  );
};

const watchLive = (place, shop, mine) => {
  const look = async () => {
    const from = new Date(Date.now() - LIVE_MINUTES * 60000).toISOString();
    try {
      const found = await ask("recent", { tenant: shop, from, tz: zone, limit: RECENT_MAX });
      if (mine !== turn) return;
      const minutes = Array(LIVE_MINUTES).fill(0);
      for (const row of found.rows) {
        const age = Math.floor((Date.now() - Date.parse(row.occurred_at)) / 60000);
        if (age >= 0 && age < LIVE_MINUTES) minutes[LIVE_MINUTES - 1 - age] += 1;
      }
      const count =
        found.rows.length >= RECENT_MAX ? `${RECENT_MAX}+` : number.format(found.rows.length);
      place.replaceChildren(
        element("h2", {}, "Now"),
        element(
          "p",
          { "aria-live": "polite" },
          element("strong", {}, count),
          ` events in the last ${LIVE_MINUTES} minutes`,
        ),
        element(
          "span",
          { class: "spark" },
          spark(minutes, `Events per minute, the last ${LIVE_MINUTES} minutes`),
        ),
        element(
          "ol",
          { "aria-label": "Latest events" },
          ...found.rows
            .slice(0, 6)
            .map((row) =>
              element(
                "li",
                {},
                `${new Intl.DateTimeFormat("en", { timeZone: zone, timeStyle: "medium" }).format(new Date(row.occurred_at))} ${words(row.type)}${row.product_id ? ` #${row.product_id}` : ""}`,
              ),
            ),
        ),
      );
      tellSnapshot(found);
    } catch (error) {
      if (mine !== turn) return;
      place.replaceChildren(
        element("p", {}, `The live numbers cannot be read now: ${error.message}`),
      );
    }
    if (mine === turn) liveTimer = setTimeout(look, LIVE_EVERY_MS);
  };
  look();
};

// -- all shops ------------------------------------------------------------------------------

const SHOP_COLUMNS = [
  ["tenant", "Shop"],
  ["visitors", "Visitors"],
  ["events", "Events"],
  ["transactions", "Sales"],
  ["visitors_change", "Change"],
];

const sorted = (rows, sort) => {
  const [name, sign] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  const least = (value) => value ?? (typeof value === "string" ? "" : -Infinity);
  return [...rows].sort((one, other) => {
    const [a, b] = [least(one[name]), least(other[name])];
    return sign * (a > b ? 1 : a < b ? -1 : 0);
  });
};

const heading = (state, name, text) => {
  const direction =
    state.sort === name ? "ascending" : state.sort === `-${name}` ? "descending" : undefined;
  const next = state.sort === `-${name}` ? name : `-${name}`;
  const button = element(
    "button",
    { type: "button" },
    text,
    direction
      ? element("span", { "aria-hidden": "true" }, direction === "ascending" ? " ▲" : " ▼")
      : null,
  );
  button.addEventListener("click", () => go({ sort: next }));
  return element(
    "th",
    { scope: "col", class: name === "tenant" ? undefined : "n", "aria-sort": direction },
    button,
  );
};

const nameOf = (row) => row.tenant ?? `#${row.tenant_id}`;

const shopLink = (state, row) => {
  const chosen = { shop: row.tenant ?? String(row.tenant_id), find: "", shown: SHOPS_SHOWN };
  const link = element("a", { href: addressOf({ ...state, ...chosen }) }, nameOf(row));
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(chosen);
  });
  return link;
};

const drawShops = async (state, mine) => {
  const period = daysOf(state);
  const [interval] = stepOf(period.days);
  const given = { from: period.from, to: period.to, tz: zone };
  const summary = await ask("summary", given);
  if (mine !== turn) return;
  tellSnapshot(summary);
  if (!summary.rows.length) {
    view.replaceChildren(
      element(
        "div",
        { class: "empty" },
        element("p", {}, "No events in this period. Put this line into the pages of a shop:"),
        element("pre", {}, element("code", {}, snippet())),
      ),
    );
    return;
  }
  const total = (name) => summary.rows.reduce((sum, row) => sum + row[name], 0);
  const all = element(
    "ul",
    { class: "cards", "aria-label": "Numbers of all shops" },
    card("Shops with events", number.format(summary.rows.length)),
    card("Visitors", number.format(total("visitors"))),
    card("Events", number.format(total("events"))),
    card("Sales", number.format(total("transactions"))),
  );
  const list = element("div");
  // The list alone is drawn anew while a name is typed: the field keeps its cursor.
  const draw = async () => {
    const now = stateOf();
    const name = now.find.trim().toLowerCase();
    const found = summary.rows.filter((row) => nameOf(row).includes(name));
    const rows = sorted(found, now.sort).slice(0, now.shown);
    const places = new Map(rows.map((row) => [row.tenant_id, element("td", { class: "spark" })]));
    list.replaceChildren(
      shopsTable(now, rows, places),
      rows.length < found.length ? moreShops(rows.length, found.length, draw) : "",
    );
    await drawActivity(places, { ...given, interval }, mine);
  };
  view.replaceChildren(all, panel("Shops", csvLink("summary", given), finder(state, draw), list));
  await draw();
};

const finder = (state, draw) => {
  const field = element("input", { type: "search", value: state.find, autocomplete: "off" });
  let typing;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      history.replaceState(null, "", addressOf({ ...stateOf(), find: field.value }));
      draw().catch(tellProblem);
    }, TYPING_MS);
  });
  return element("label", { class: "finder" }, "Find a shop ", field);
};

const moreShops = (shown, found, draw) => {
  const button = element("button", { type: "button" }, `Show ${SHOPS_SHOWN} more`);
  button.addEventListener("click", () => {
    history.pushState(null, "", addressOf({ ...stateOf(), shown: shown + SHOPS_SHOWN }));
    draw().catch(tellProblem);
    view.querySelectorAll("tbody a")[shown].focus();
  });
  const count = `${number.format(shown)} of ${number.format(found)} shops `;
  return element("p", { class: "more" }, count, button);
};

const shopsTable = (state, rows, places) =>
  scroll(
    "Shops",
    element(
      "table",
      {},
      element(
        "caption",
        {},
        rows.length ? "Choose a shop to see its page" : "No shop has this name",
      ),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...SHOP_COLUMNS.map(([name, text]) => heading(state, name, text)),
          element("th", { scope: "col" }, "Over time"),
        ),
      ),
      element(
        "tbody",
        {},
        ...rows.map((row) =>
          element(
            "tr",
            {},
            element("td", {}, shopLink(state, row)),
            cell(row.visitors),
            cell(row.events),
            cell(row.transactions),
            element(
              "td",
              { class: "n" },
              row.visitors_change === null || !state.compare
                ? "–"
                : `${row.visitors_change > 0 ? "+" : ""}${Math.round(100 * row.visitors_change)}%`,
            ),
            places.get(row.tenant_id),
          ),
        ),
      ),
    ),
  );

/** Draws each shop's events over time into its place. */
const drawActivity = async (places, given, mine) => {
  const ids = [...places.keys()];
  const asked = [];
  for (let at = 0; at < ids.length; at += SHOPS_SHOWN)
    asked.push(ask("activity", { ...given, shops: ids.slice(at, at + SHOPS_SHOWN).join() }));
  const rows = (await Promise.all(asked)).flatMap((answer) => answer.rows);
  if (mine !== turn) return;
  const moments = [...new Set(rows.map((row) => Date.parse(row.bucket)))].sort((a, b) => a - b);
  const at = new Map(moments.map((moment, index) => [moment, index]));
  const counts = new Map(ids.map((id) => [id, Array(moments.length).fill(0)]));
  for (const row of rows) counts.get(row.tenant_id)[at.get(Date.parse(row.bucket))] = row.events;
  for (const [id, place] of places)
    place.replaceChildren(spark(counts.get(id), "Events over time"));
};

// -- the page -------------------------------------------------------------------------------

const tellSnapshot = ({ snapshot }) => {
  document.getElementById("snapshot").textContent =
    `read from version ${snapshot.version} of the lake and ${number.format(snapshot.tail_events)} events of the log.`;
};

const fillForm = (state) => {
  const period = daysOf(state);
  form.elements.period.value = state.period;
  form.elements.from.value = period.from;
  form.elements.to.value = period.to;
  form.elements.compare.checked = state.compare;
  document.getElementById("custom").hidden = state.period !== "custom";
};

const tellProblem = (error) => {
  const again = element("button", { type: "button" }, "Try again");
  again.addEventListener("click", show);
  problem.replaceChildren(`The numbers cannot be shown: ${error.message} `, again);
  problem.hidden = false;
};

const who = fetch("/api/v1/me").then((answer) =>
  answer.ok ? answer.json() : { tenant_id: null, signed_in: true },
);

const show = async () => {
  const mine = ++turn;
  clearTimeout(liveTimer);
  problem.hidden = true;
  view.setAttribute("aria-busy", "true");
  const state = stateOf();
  fillForm(state);
  try {
    const reader = await who;
    const own = reader.tenant_id === null ? null : String(reader.tenant_id);
    document.getElementById("signout").hidden = !reader.signed_in;
    const shop = state.shop ?? own;
    document.getElementById("title").textContent = shop
      ? own && !state.shop
        ? "Your shop"
        : shop
      : "Shops";
    document.title = `${document.getElementById("title").textContent} – beaconlog`;
    await (shop ? drawShop({ ...state, shop }, mine) : drawShops(state, mine));
  } catch (error) {
    if (mine === turn) tellProblem(error);
  }
  if (mine === turn) view.removeAttribute("aria-busy");
};

form.addEventListener("change", (event) => {
  const chosen = form.elements;
  if (event.target === chosen.period)
    go({ period: chosen.period.value, from: chosen.from.value, to: chosen.to.value });
  else if (event.target === chosen.compare) go({ compare: chosen.compare.checked });
  else if (chosen.from.value && chosen.to.value && chosen.from.value <= chosen.to.value)
    go({ period: "custom", from: chosen.from.value, to: chosen.to.value });
});
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("home").addEventListener("click", (event) => {
  event.preventDefault();
  go({ shop: null });
});
document.getElementById("zone").textContent = zone;
addEventListener("popstate", show);
show();
