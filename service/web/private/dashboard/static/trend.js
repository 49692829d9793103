// The panel of the chart over time: its model in words, and its table.

import { Chart } from "./chart.js";
import { totalText } from "./cards.js";
import { element, update } from "./dom.js";
import { seriesOf } from "./numbers.js";
import { head, table } from "./table.js";

const SWATCHES = { now: "solid", before: "dashed" };

const whenOf = (say, interval) => (at) => {
  if (at === null) return "";
  return interval === "hour" ? say.minute(at) : say.day(at);
};

const writerOf = (say, metric, currency) => {
  if (metric === "revenue") return (value) => say.money(value, currency);
  return metric === "rate" ? say.percent : say.number;
};

const axisOf = (say, metric, currency) => {
  if (metric === "revenue") return (value) => say.shortMoney(value, currency);
  return metric === "rate" ? say.percent : say.short;
};

const swatch = (kind, text) => element("span", { class: `swatch ${kind}` }, text);

/** Return the model of a chart from the report `trend`. `total` is the metric's total of the period. */
const modelOf = (say, metric, total, trend, period, isCompared) => {
  const series = seriesOf(metric, trend, period);
  const { interval } = trend.parameters;
  const currency = trend.rows[0]?.currency ?? null;
  const when = whenOf(say, interval);
  const write = writerOf(say, metric, currency);
  const title = say.text("chart", { metric: say.text(`card.${metric}`) });
  const whole = metric === "revenue" ? write(total.reduce((sum, row) => (row.currency === currency ? sum + Number(row.value) : sum), 0)) : totalText(say, metric, total);
  const before = isCompared ? series.before : null;
  return {
    ...series,
    before,
    metric,
    title,
    currency,
    write,
    isCount: metric !== "revenue" && metric !== "rate",
    axis: axisOf(say, metric, currency),
    when: (index) => when(series.start(index)),
    label: say.text("chart.summary", { metric: say.text(`card.${metric}`), total: whole }),
    read: (index) => {
      if (index < 0)
        return [
          swatch(SWATCHES.now, `${say.text("chart.now")}: ${whole}`),
          before && swatch(SWATCHES.before, say.text("chart.before")),
        ].filter(Boolean);
      const now = { when: when(series.start(index)), value: write(series.now[index]) };
      const earlier = before && {
        when: when(series.startBefore(index)),
        value: write(before[index] ?? 0),
      };
      return [
        swatch(SWATCHES.now, say.text("chart.read", now)),
        earlier && swatch(SWATCHES.before, say.text("chart.read", earlier)),
      ].filter(Boolean);
    },
  };
};

const tableOf = (say, model) =>
  table(
    model.title,
    [
      say.text("chart.when"),
      say.text("chart.now"),
      ...(model.before ? [say.text("chart.before")] : []),
    ],
    model.now.map((value, index) => [
      model.when(index),
      model.write(value),
      ...(model.before ? [model.write(model.before[index] ?? 0)] : []),
    ]),
  );

/** The panel, which stays in the page while its numbers change. */
export class TrendPanel {
  #head = element("div");
  #chart = new Chart();
  #details = element("details");
  #note = element("p", { class: "note" });
  node = element(
    "section",
    { class: "wide trend" },
    this.#head,
    this.#chart.node,
    this.#note,
    this.#details,
  );

  update(say, { metric, total, trend, period, parameters, isCompared }) {
    const model = modelOf(say, metric, total, trend, period, isCompared);
    update(this.#head, head(say, model.title, "trend", parameters));
    this.#chart.update(model);
    const hasOthers = metric === "revenue" && total.some(({ currency }) => currency !== model.currency);
    update(this.#note, hasOthers ? say.text("chart.currency", { currency: model.currency }) : "");
    update(this.#details, element("summary", {}, say.text("table")), tableOf(say, model));
  }
}
