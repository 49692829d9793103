// The page of all shops: totals, shops that went quiet, and the list.

import { NO_LIST, addressOf, readState, replaceState } from "./address.js";
import { fetchReport } from "./api.js";
import { element, update } from "./dom.js";
import { drawLive, shopsLine } from "./live.js";
import { amounts, changeNote, shopName } from "./names.js";
import { growth, sum } from "./numbers.js";
import { DAY_MS, bucketsOf, comparedText, intervalOf, periodText } from "./period.js";
import { Revenue, sumsOf } from "./revenue.js";
import { FIND_CHARS_MAX, SHOPS_MAX, ShopList } from "./shoplist.js";
import { head } from "./table.js";

const TYPING_MS = 200;
const HEARD_DAYS = 90;
const QUIET_DAYS_MIN = 3;
const QUIET_SHOWN = 100;
const IDS_MAX = 200;

const card = (say, key, number, note) =>
  element(
    "li",
    { class: "card" },
    element("span", { class: "name" }, say.text(`card.${key}`)),
    element("span", { class: "number" }, number),
    note,
  );

const revenueCard = (say, revenue, before, isCompared) => {
  const [now, then] = [sumsOf(revenue), sumsOf(before)];
  const isOne = now.length === 1 && then.every(({ currency }) => currency === now[0].currency);
  const change = isOne ? growth(now[0].value, then[0]?.value) : null;
  return card(say, "revenue", amounts(say, now, null), isCompared && changeNote(say, change));
};

const cardsOf = (say, rows, { revenue, revenueBefore }, isCompared) => {
  const total = (field) => {
    const change = growth(sum(rows, field), sum(rows, `${field}_before`));
    return [say.number(sum(rows, field)), isCompared ? changeNote(say, change) : null];
  };
  return [
    card(say, "shops", say.number(rows.filter((row) => row.events).length)),
    card(say, "visitors", ...total("visitors")),
    card(say, "events", ...total("events")),
    card(say, "sales", ...total("transactions")),
    revenueCard(say, revenue, revenueBefore, isCompared),
  ];
};

/** Return whether a shop went quiet, from its row of the report `heard`. */
const isQuiet = ({ heard_at: at, active_days: days }) =>
  Date.now() - Date.parse(at) > DAY_MS && days >= QUIET_DAYS_MIN;

const pageOf = ({ tenant, tenant_id: id }) =>
  addressOf({ ...readState(), ...NO_LIST, shop: tenant ?? id });

/** Return the alarm for shops that went quiet; an empty text if there is none. */
const alarm = (say, rows) => {
  if (!rows.length) return "";
  return element(
    "section",
    { class: "quiet", role: "status" },
    element("h2", {}, say.text("shops.quiet", { count: rows.length })),
    element("p", { class: "note" }, say.text("shops.quiet.rule")),
    element(
      "ul",
      {},
      ...rows.slice(0, QUIET_SHOWN).map((row) =>
        element(
          "li",
          {},
          element(
            "a",
            { href: pageOf(row) },
            say.text("shops.quiet.row", { shop: shopName(row), when: say.moment(row.heard_at) }),
          ),
        ),
      ),
    ),
  );
};

export class ShopsPage {
  #live = element("p", { class: "live" });
  #cards = element("ul", { class: "cards" });
  #compared = element("p", { class: "compared" });
  #quiet = element("div");
  #empty = element("div");
  #head = element("div");
  #finder = element("input", { type: "search", autocomplete: "off", maxlength: FIND_CHARS_MAX });
  #label = element("label", { class: "finder" });
  #list;
  #typing;

  constructor({ reader, showProblem }) {
    this.reader = reader;
    this.showProblem = showProblem;
    this.#list = new ShopList(showProblem);
    this.#finder.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => {
        replaceState({ find: this.#finder.value });
        this.#list.draw().catch(showProblem);
      }, TYPING_MS);
    });
    const list = element("section", {}, this.#head, this.#label, this.#list.node);
    const numbers = [this.#cards, this.#compared, this.#empty, list];
    this.node = element("div", {}, this.#live, this.#quiet, ...numbers);
  }

  /**
   * Draw the shops of the period that the state chooses, and keep them fresh until the signal is
   * aborted. `onFirst` is called when each refresh has something to see. Throw the errors of
   * fetchReport.
   */
  async draw(say, state, period, signal, onFirst) {
    const refresh = (current) => this.#refresh(say, state, current, signal, onFirst);
    const line = shopsLine(say, this.#list.nameOf);
    const { showProblem } = this;
    const chosen = { state, period, refresh, showProblem };
    await drawLive(this.#live, { say, shop: null, line, signal, ...chosen });
  }

  async #refresh(say, state, period, signal, onFirst) {
    const parameters = { from: period.from, to: period.to, tz: say.zone };
    const ask = (report, more = {}) => this.#ask(report, { ...parameters, ...more }, signal);
    const since = new Date(Date.now() - HEARD_DAYS * DAY_MS).toISOString();
    const [{ rows, ...summary }, revenue, heard] = await Promise.all([
      ask("summary"),
      ask("shop-revenue"),
      this.#ask("heard", { from: since, tz: say.zone }, signal),
    ]);
    const { from, to, compared_from: earlier, compared_to: earlierEnd } = summary.parameters;
    const compared = state.compare ? comparedText(summary.parameters, period, say) : null;
    const [before, quiet] = await Promise.all([
      compared ? ask("shop-revenue", { from: earlier, to: earlierEnd }) : { rows: [] },
      this.#fetchQuiet(heard.rows, signal),
    ]);
    signal.throwIfAborted();
    const span = say.text("span.of", { span: periodText(period, say) });
    update(this.#compared, compared ? `${span} ${say.text("compared", { span: compared })}` : span);
    this.#drawHead(say, rows, parameters, {
      quiet,
      revenue: revenue.rows,
      revenueBefore: before.rows,
      isCompared: Boolean(compared && sum(rows, "events_before")),
    });
    onFirst();
    const interval = intervalOf(period);
    if (document.activeElement !== this.#finder) this.#finder.value = readState().find;
    this.#list.options = {
      say,
      rows,
      heard: new Map(heard.rows.map((row) => [row.tenant_id, row.heard_at])),
      revenue: new Revenue(revenue.rows),
      parameters: { ...parameters, interval },
      buckets: bucketsOf(period, interval, Date.parse(from), Date.parse(to)),
      compared,
      signal,
    };
    await this.#list.draw();
  }

  /** Return a report; one without rows if the service does not have it. */
  #ask(report, parameters, signal) {
    const exists = this.reader.parametersOf.has(report);
    return exists ? fetchReport(report, parameters, signal) : { rows: [] };
  }

  /** Return the rows of the report `heard` of the active shops that went quiet, with their names. */
  async #fetchQuiet(heard, signal) {
    const quiet = heard.filter(isQuiet);
    if (!quiet.length) return [];
    const shops = await this.#fetchNamed(quiet, signal);
    const known = new Map(shops.map((row) => [row.tenant_id, row]));
    return quiet
      .map((row) => ({ ...known.get(row.tenant_id), ...row }))
      .filter(({ status }) => !status || status === "active");
  }

  /** Return the directory's rows of some shops; of all, which the list fetches anyway, for many. */
  async #fetchNamed(some, signal) {
    if (some.length > IDS_MAX) return this.#list.fetchShops("", signal);
    const shops = some.map((row) => row.tenant_id).join();
    const { rows } = await fetchReport("shops", { shops, limit: SHOPS_MAX }, signal);
    return rows;
  }

  #drawHead(say, rows, parameters, { quiet, revenue, revenueBefore, isCompared }) {
    this.#cards.setAttribute("aria-label", say.text("cards.all"));
    update(this.#cards, ...cardsOf(say, rows, { revenue, revenueBefore }, isCompared));
    update(this.#quiet, alarm(say, quiet));
    const isEmpty = !rows.some((row) => row.events);
    const text = `${say.text("empty")} ${say.text("empty.all")}`;
    update(this.#empty, isEmpty ? element("p", { class: "empty" }, text) : "");
    update(this.#head, head(say, say.text("shops"), "summary", parameters));
    if (!this.#label.firstChild) this.#label.append(`${say.text("find")} `, this.#finder);
  }
}
