// The dashboard: all shops, or one. Every choice is in the address; every number is the report API's.

import { bars, element, lines, number, spark } from "./charts.js";
import {
  BadAddress,
  PERIODS,
  axisText,
  bucketsOf,
  comparedText,
  intervalOf,
  momentText,
  periodOf,
  secondText,
  zone,
} from "./period.js";

const LIVE_EVERY_MS = 5000;
const LIVE_MINUTES = 30;
const RECENT_MAX = 200;
const SHOPS_SHOWN = 100;
const SHOPS_FOUND_MAX = 10000;
const FIND_CHARS_MAX = 255;
const TYPING_MS = 200;
const REASONS = {
  "product-not-found": "product not found",
  "tenant-not-found": "shop not found or not active",
  "not-json": "not JSON",
  "invalid-payload": "fields that are missing or wrong",
  "body-too-large": "too large",
  "media-type-unsupported": "not sent as JSON",
  "directory-unavailable": "the directory could not be read",
  "signature-missing": "sales that nobody signed",
};
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

/** Buckets without events are left out: the chart has them. */
const tableOf = (spec, title) => {
  const rows = spec.data.values.filter((row) => !("bucket" in row) || row.events);
  const columns = Object.keys(rows[0] ?? {}).map((name) => [name, words(name)]);
  const shown = rows.map((row) => ("bucket" in row ? { ...row, bucket: momentText(row.bucket) } : row));
  return element("details", {}, element("summary", {}, "Table"), table(title, columns, shown));
};

const changeOf = (change) => {
  if (change === null || change === undefined)
    return element("span", { class: "change" }, "nothing to compare with");
  const percent = Math.round(100 * change);
  const direction = percent > 0 ? "up" : percent < 0 ? "down" : "";
  const sign = percent > 0 ? "▲ +" : percent < 0 ? "▼ −" : "";
  return element(
    "span",
    { class: `change ${direction}` },
    `${sign}${number.format(Math.abs(percent))}%`,
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

/** The cards, and once for all of them the span that they are compared with. */
const cards = (row, revenue, revenueBefore, compared) => {
  const change = (value) => (compared && row.events_before ? changeOf(value) : null);
  const contacts =
    row.whatsapp_click + row.call + row.call_click + row.maps_click + row.location_view;
  const rate = ratio(row.transactions, row.visitors);
  const rateBefore = ratio(row.transactions_before, row.visitors_before);
  return [
    element(
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
    ),
    compared
      ? element(
          "p",
          { class: "compared" },
          row.events_before
            ? `Compared with ${compared}.`
            : `Nothing to compare with: there were no events ${compared}.`,
        )
      : null,
  ];
};

const dropNote = (row, index, rows) => {
  const before = rows[index - 1]?.visitors;
  if (!index || !before) return null;
  return row.visitors <= before
    ? `${number.format(100 - (100 * row.visitors) / before)}% of those before went no further`
    : "more than in the step before";
};

const qualityWords = (rows) => {
  const told = ({ outcome, reason, events, value }) => {
    const count = number.format(events);
    const verb = events === 1 ? "was" : "were";
    if (outcome === "accepted")
      return `${count} ${events === 1 ? "event" : "events"} ${verb} accepted.`;
    if (outcome === "bots")
      return `${count} of them came from crawlers, and are left out of the numbers here.`;
    if (outcome === "duplicates") return `${count} came again, and ${verb} counted once.`;
    if (outcome === "another-amount")
      return `${count} ${events === 1 ? "sale" : "sales"} came again with another amount (${number.format(value)} ${reason}): the first amount counts.`;
    return `${count} ${verb} refused: ${REASONS[reason] ?? words(reason).replaceAll("-", " ")}.`;
  };
  const worth = rows.filter((row) => row.events || row.outcome === "accepted");
  return element("ul", {}, ...worth.map((row) => element("li", {}, told(row))));
};

const attribute = (name, value) => `${name}="${String(value).replaceAll('"', "&quot;")}"`;

/** The line of a shop's pages. `tenant` is a row of the directory; the shop may not be in it. */
const snippet = ({ tenant_id, tenant }) => {
  const source = attribute("src", `${location.protocol}//YOUR-PUBLIC-ADDRESS/beacon.js`);
  const slug = tenant ? ` ${attribute("data-slug", tenant)}` : "";
  return `<script defer ${source} ${attribute("data-tenant", tenant_id)}${slug}></script>`;
};

const emptyPeriod = (advice, line) =>
  element(
    "div",
    { class: "empty" },
    element("p", {}, `No events in this period. ${advice}`),
    line ? element("pre", {}, element("code", {}, line)) : null,
  );

const emptyShop = (tenant) =>
  emptyPeriod("Choose a longer one, or put this line into the shop’s pages:", snippet(tenant));

/** The directory's row of a shop; of one that is not in it, its id. */
const tenantOf = async (shop) => {
  const { rows, parameters } = await ask("shops", { tenant: shop, limit: 1 });
  return rows[0] ?? { tenant_id: parameters.tenant };
};

const drawShop = async (state, period, mine) => {
  const interval = intervalOf(period);
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
  const [summary, revenue] = await Promise.all([ask("summary", given), ask("revenue", given)]);
  const row = summary.rows[0];
  const isEmpty = !row?.events;
  const { compared_from, compared_to } = summary.parameters;
  const compared = state.compare ? comparedText(summary.parameters, period) : null;
  const [earlier, tenant] = await Promise.all([
    compared ? ask("revenue", { ...given, from: compared_from, to: compared_to }) : { rows: [] },
    isEmpty ? tenantOf(state.shop) : row,
  ]);
  if (mine !== turn) return;
  tellSnapshot(summary);
  if (state.isChosen) tellTitle(nameOf(tenant));
  const live = element("section", {
    class: "live wide",
    "aria-label": `Last ${LIVE_MINUTES} minutes`,
  });
  const body = element("div", { class: "grid" }, live);
  view.replaceChildren(
    ...(row ? cards(row, revenue.rows, earlier.rows, compared).filter(Boolean) : []),
    ...(isEmpty ? [emptyShop(tenant)] : []),
    body,
  );
  watchLive(live, state.shop, mine);
  const [series, funnel, products, sources, quality] = await rest;
  if (mine !== turn) return;
  if (!isEmpty) {
    body.append(
      wide(
        panel(
          "Events over time",
          csvLink("timeseries", { ...given, interval }),
          ...lines(series, { label: "Events over time", when: axisText(interval) }),
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
        csvLink("quality", given),
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
      // They come by receipt; some were sent late.
      const occurred = (row) => Date.parse(row.occurred_at);
      const latest = found.rows.sort((one, other) => occurred(other) - occurred(one));
      const minutes = Array(LIVE_MINUTES).fill(0);
      for (const row of latest) {
        const age = Math.max(0, Math.floor((Date.now() - occurred(row)) / 60000));
        if (age < LIVE_MINUTES) minutes[LIVE_MINUTES - 1 - age] += 1;
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
          ...latest
            .slice(0, 6)
            .map((row) =>
              element(
                "li",
                {},
                `${secondText(row.occurred_at)} ${words(row.type)}${row.product_id ? ` #${row.product_id}` : ""}`,
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

/**
 * The shops of a list: those with events, or those that are found by what was typed, the silent
 * ones too. Where no shop has events, all of the directory.
 */
const shopsFound = async (counted, typed) => {
  const find = typed.trim().slice(0, FIND_CHARS_MAX);
  if (!find && counted.length) return counted;
  const { rows } = await ask("shops", { find, limit: SHOPS_FOUND_MAX });
  const found = new Set(rows.map((row) => row.tenant_id));
  const known = new Set(counted.map((row) => row.tenant_id));
  const silent = { visitors: 0, events: 0, transactions: 0, visitors_change: null };
  return [
    ...counted.filter(
      (row) => found.has(row.tenant_id) || nameOf(row).toLowerCase().includes(find.toLowerCase()),
    ),
    ...rows.filter((row) => !known.has(row.tenant_id)).map((row) => ({ ...row, ...silent })),
  ];
};

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

const drawShops = async (state, period, mine) => {
  const interval = intervalOf(period);
  const given = { from: period.from, to: period.to, tz: zone };
  const summary = await ask("summary", given);
  if (mine !== turn) return;
  tellSnapshot(summary);
  const active = summary.rows.filter((row) => row.events);
  const total = (name) => active.reduce((sum, row) => sum + row[name], 0);
  const all = element(
    "ul",
    { class: "cards", "aria-label": "Numbers of all shops" },
    card("Shops with events", number.format(active.length)),
    card("Visitors", number.format(total("visitors"))),
    card("Events", number.format(total("events"))),
    card("Sales", number.format(total("transactions"))),
  );
  const compared = state.compare ? comparedText(summary.parameters, period) : null;
  const { from, to } = summary.parameters;
  const buckets = bucketsOf(period, interval, Date.parse(from), Date.parse(to));
  const list = element("div");
  let drawing = 0;
  // The list alone is drawn anew while a name is typed: the field keeps its cursor.
  const draw = async (whenListed = () => {}) => {
    const mineToo = ++drawing;
    const now = stateOf();
    const found = await shopsFound(summary.rows, now.find);
    if (mine !== turn || mineToo !== drawing) return;
    const rows = sorted(found, now.sort).slice(0, now.shown);
    const cells = new Map(
      rows.map((row) => [
        row.tenant_id,
        { name: element("td"), activity: element("td", { class: "spark" }) },
      ]),
    );
    list.replaceChildren(
      shopsTable(now, rows, cells, compared),
      rows.length < found.length ? moreShops(rows.length, found.length, draw) : "",
    );
    whenListed();
    const isLatest = () => mine === turn && mineToo === drawing;
    await fillCells(cells, { ...given, interval }, buckets, isLatest);
  };
  view.replaceChildren(
    all,
    active.length ? "" : emptyPeriod("Choose a shop to see the line for its pages."),
    panel("Shops", csvLink("summary", given), finder(state, draw), list),
  );
  await draw();
};

const finder = (state, draw) => {
  const field = element("input", {
    type: "search",
    value: state.find,
    autocomplete: "off",
    maxlength: FIND_CHARS_MAX,
  });
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
    draw(() => view.querySelectorAll("tbody a")[shown].focus()).catch(tellProblem);
  });
  const count = `${number.format(shown)} of ${number.format(found)} shops `;
  return element("p", { class: "more" }, count, button);
};

const shopsTable = (state, rows, cells, compared) =>
  scroll(
    "Shops",
    element(
      "table",
      {},
      element(
        "caption",
        {},
        !rows.length
          ? "No shop has this name"
          : compared
            ? `Choose a shop to see its page. Change: visitors, compared with ${compared}`
            : "Choose a shop to see its page",
      ),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heading(state, "tenant", "Shop"),
          element("th", { scope: "col" }, "Name"),
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
            cells.get(row.tenant_id).name,
            cell(row.visitors),
            cell(row.events),
            cell(row.transactions),
            element(
              "td",
              { class: "n" },
              row.visitors_change === null || !compared
                ? "–"
                : `${row.visitors_change > 0 ? "+" : ""}${Math.round(100 * row.visitors_change)}%`,
            ),
            cells.get(row.tenant_id).activity,
          ),
        ),
      ),
    ),
  );

/** Writes each shop's name and draws its events over time into its cells. */
const fillCells = async (cells, given, buckets, isLatest) => {
  const ids = [...cells.keys()];
  const parts = [];
  for (let at = 0; at < ids.length; at += SHOPS_SHOWN)
    parts.push(ids.slice(at, at + SHOPS_SHOWN).join());
  const rowsOf = async (name, more) => {
    const answers = await Promise.all(parts.map((shops) => ask(name, { ...more, shops })));
    return answers.flatMap((answer) => answer.rows);
  };
  const [names, activity] = await Promise.all([
    rowsOf("shops", { limit: SHOPS_SHOWN }),
    rowsOf("activity", given),
  ]);
  if (!isLatest()) return;
  for (const row of names)
    cells
      .get(row.tenant_id)
      .name.replaceChildren(row.status === "active" ? row.name : `${row.name} (${row.status})`);
  const counts = new Map(ids.map((id) => [id, Array(Math.max(0, buckets.begun)).fill(0)]));
  for (const row of activity)
    counts.get(row.tenant_id)[buckets.place(Date.parse(row.bucket))] = row.events;
  for (const [id, { activity: place }] of cells)
    place.replaceChildren(spark(counts.get(id), "Events over time", buckets.count));
};

// -- the page -------------------------------------------------------------------------------

const tellSnapshot = ({ snapshot }) => {
  document.getElementById("snapshot").textContent =
    `read from version ${snapshot.version} of the lake and ${number.format(snapshot.tail_events)} events of the log.`;
};

const fillForm = (state, period) => {
  form.elements.period.value = state.period;
  form.elements.from.value = period.from;
  form.elements.to.value = period.to;
  form.elements.compare.checked = state.compare;
  document.getElementById("custom").hidden = state.period !== "custom";
};

const tellProblem = (error) => {
  const isAddress = error instanceof BadAddress;
  const button = element("button", { type: "button" }, isAddress ? "Last 7 days" : "Try again");
  button.addEventListener("click", () => (isAddress ? go({ period: "7d" }) : show()));
  const text = isAddress ? error.message : `The numbers cannot be shown: ${error.message}`;
  problem.replaceChildren(`${text} `, button);
  problem.hidden = false;
  if (isAddress || view.querySelector(".loading")) view.replaceChildren(nothing("No numbers."));
};

const tellTitle = (text) => {
  document.getElementById("title").textContent = text;
  document.title = `${text} – beaconlog`;
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
  try {
    const reader = await who;
    if (mine !== turn) return;
    const own = reader.tenant_id === null ? null : String(reader.tenant_id);
    document.getElementById("signout").hidden = !reader.signed_in;
    const shop = state.shop ?? own;
    tellTitle(state.shop ?? (own ? "Your shop" : "Shops"));
    const period = periodOf(state);
    fillForm(state, period);
    const isChosen = state.shop !== null;
    await (shop ? drawShop({ ...state, shop, isChosen }, period, mine) : drawShops(state, period, mine));
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
