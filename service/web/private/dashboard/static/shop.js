// The page of one shop.

import { fetchReport } from "./api.js";
import { cardsOf } from "./cards.js";
import { chipsOf } from "./chips.js";
import { element, update } from "./dom.js";
import { emptyFiltered, emptyPeriod, trackerLine } from "./empty.js";
import { drawLive, shopLine } from "./live.js";
import { keepNames } from "./names.js";
import { totalsOf } from "./numbers.js";
import { drawPanels, fetchPanels } from "./panels.js";
import { comparedText, intervalOf, periodText } from "./period.js";
import { TrendPanel } from "./trend.js";
import { WholeList } from "./whole.js";

/** Return those of the parameters that a report takes. */
const knownTo = (report, parameters, { parametersOf }) => {
  const known = parametersOf.get(report) ?? [];
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => known.includes(name)));
};

export class ShopPage {
  #live = element("p", { class: "live" });
  #chips = element("ul", { class: "chips" });
  #cards = element("ul", { class: "cards" });
  #compared = element("p", { class: "compared" });
  #empty = element("div");
  #trend = new TrendPanel();
  #grid = element("div", { class: "grid" });
  #whole = new WholeList();
  #products = new Map();

  /** `shop` is the directory's row; `showProblem` shows an error of a later refresh. */
  constructor({ shop, reader, showProblem }) {
    this.shop = shop;
    this.reader = reader;
    this.showProblem = showProblem;
    const panels = [this.#trend.node, this.#grid, this.#whole.node];
    this.node = element(
      "div",
      { class: "shop" },
      this.#live,
      this.#chips,
      this.#cards,
      this.#compared,
      this.#empty,
      ...panels,
    );
  }

  /**
   * Draw the numbers that the state chooses, and keep them fresh until the signal is aborted.
   * `onFirst` is called when each refresh has something to see. Throw the errors of fetchReport.
   */
  async draw(say, state, period, signal, onFirst) {
    const refresh = (current) => this.#refresh(say, state, current, signal, onFirst);
    const shop = String(this.shop.tenant_id);
    const line = shopLine(say, this.#products);
    const { showProblem } = this;
    this.#whole.prepare(say, { state, parametersOf: this.#questions(say, state, period) });
    const chosen = { state, period, refresh, showProblem };
    await drawLive(this.#live, { say, shop, line, signal, ...chosen });
  }

  /** Return the function from a report to its parameters. */
  #questions(say, state, { from, to }) {
    const base = { tenant: String(this.shop.tenant_id), from, to, tz: say.zone };
    return (report, more = {}) =>
      knownTo(report, { ...base, ...state.filters, ...more }, this.reader);
  }

  async #refresh(say, state, period, signal, onFirst) {
    const parametersOf = this.#questions(say, state, period);
    const ask = (report, more) => fetchReport(report, parametersOf(report, more), signal);
    const more = { interval: intervalOf(period) };
    const first = Promise.all([ask("summary"), ask("revenue"), ask("trend", more)]);
    const answered = new Map([["summary", first.then(([summary]) => summary)]]);
    const asked = { state, parametersOf, answered, signal };
    const panels = fetchPanels(this.reader.parametersOf, asked);
    const [summary, revenue, trend] = await first;
    signal.throwIfAborted();
    onFirst();
    const context = { say, state, period, products: this.#products };
    const whole = this.#whole.draw(say, { ...context, parametersOf }, signal);
    const parameters = parametersOf("trend", more);
    this.#drawNumbers({ ...context, summary, revenue, trend, parameters });
    const hasEvents = Boolean(summary.rows[0]?.events);
    const answers = await panels;
    signal.throwIfAborted();
    this.#drawPanels(answers, { ...context, hasEvents, parametersOf });
    await whole;
  }

  #drawNumbers({ say, state, period, summary, revenue, trend, parameters, products }) {
    const row = summary.rows[0];
    const hasEvents = Boolean(row?.events);
    const span = state.compare ? comparedText(summary.parameters, period, say) : null;
    const isCompared = Boolean(span && row?.events_before);
    const isFiltered = Object.keys(state.filters).length > 0;
    this.#chips.setAttribute("aria-label", say.text("filters"));
    this.#cards.setAttribute("aria-label", say.text("cards"));
    update(this.#chips, ...chipsOf(say, state, products));
    for (const node of [this.#trend.node, this.#compared, this.#cards]) node.hidden = !row;
    const emptiness = isFiltered
      ? emptyFiltered(say, state)
      : emptyPeriod(say, trackerLine(say, this.shop));
    update(this.#empty, ...(hasEvents ? [] : [emptiness]));
    if (!row) return;
    const totals = totalsOf(row, revenue.rows, trend.rows);
    const currency = this.shop.currency ?? trend.rows[0]?.currency;
    update(this.#cards, ...cardsOf(say, totals, { state, isCompared, currency }));
    const compared = isCompared ? "compared" : "compared.nothing";
    const whole = say.text("span.of", { span: periodText(period, say) });
    const notes = [
      whole,
      span && say.text(compared, { span }),
      totals.rate.total > 1 && say.text("rate.over"),
    ];
    update(this.#compared, notes.filter(Boolean).join(" "));
    const { metric } = state;
    const total = totals[metric].total;
    this.#trend.update(say, { metric, total, trend, period, parameters, isCompared });
  }

  #drawPanels(panels, { say, state, hasEvents, products, parametersOf }) {
    keepNames(products, panels.find(({ key }) => key === "products")?.rows ?? []);
    update(this.#chips, ...chipsOf(say, state, products));
    update(this.#grid, ...drawPanels(say, panels, { state, hasEvents, products, parametersOf }));
  }
}
