// The panel of the chart over time: its model in words, and its table.

import { Chart } from "./chart.js";
import { totalText } from "./cards.js";
import { element, update } from "./dom.js";
import { seriesOf, sum } from "./numbers.js";
import { head, table } from "./table.js";

const whenOf = (say, interval) => (interval === "hour" ? say.minute : say.day);

const writerOf = (say, metric, currency) => {
  if (metric === "revenue") return (value) => say.money(value, currency);
  return metric === "rate" ? say.percent : say.number;
};

const axisOf = (say, metric, currency) => {
  if (metric === "revenue") return (value) => say.shortMoney(value, currency);
  return metric === "rate" ? say.percent : say.short;
};

/** Return the sum of revenue in a currency. */
const sumIn = (currency, rows) => {
  const inCurrency = rows.filter((row) => row.currency === currency);
  return sum(inCurrency, "value");
};

const swatch = (kind, text) => element("span", { class: `swatch ${kind}` }, text);

/** Return the function that describes a bucket by its index, or for -1 the whole period. */
const readerOf = (say, { now, before, start, startBefore, write }, when, whole) => {
  const read = (at, value) => say.text("chart.read", { when: when(at), value: write(value) });
  const textNow = (index) =>
    index < 0 ? `${say.text("chart.now")}: ${whole}` : read(start(index), now[index]);
  const textBefore = (index) =>
    index < 0 ? say.text("chart.before") : read(startBefore(index), before[index] ?? 0);
  return (index) => [
    swatch("solid", textNow(index)),
    ...(before ? [swatch("dashed", textBefore(index))] : []),
  ];
};

/** Return the model of a chart from the report `trend`. `total` is the total of the period. */
const modelOf = (say, metric, total, trend, period, isCompared) => {
  const { interval } = trend.parameters;
  const currency = trend.rows[0]?.currency ?? null;
  const series = seriesOf(metric, trend, period);
  const when = whenOf(say, interval);
  const write = writerOf(say, metric, currency);
  const name = say.text(`card.${metric}`);
  const whole =
    metric === "revenue" ? write(sumIn(currency, total)) : totalText(say, metric, total);
  const model = { ...series, before: isCompared ? series.before : null, metric, currency, write };
  return {
    ...model,
    title: say.text("chart", { metric: name }),
    label: say.text("chart.summary", { metric: name, total: whole }),
    isCount: metric !== "revenue" && metric !== "rate",
    axis: axisOf(say, metric, currency),
    when: (index) => when(series.start(index)),
    read: readerOf(say, model, when, whole),
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
    const isOther = ({ currency }) => currency !== model.currency;
    const hasOthers = metric === "revenue" && total.some(isOther);
    update(this.#note, hasOthers ? say.text("chart.currency", { currency: model.currency }) : "");
    update(this.#details, element("summary", {}, say.text("table")), tableOf(say, model));
  }
}
