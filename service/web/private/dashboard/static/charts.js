// Draw the charts of etl/reports/charts.py as SVG and lists. Only the part of Vega-Lite that is used
// there is supported; docs/decisions/charts.md compares this with chart libraries.
// A chart's label describes its content in words; a table below the chart has the numbers.

import { element, shape } from "./dom.js";
import { number, words } from "./messages.js";

const SERIES_MAX = 7;
const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [240, 44, 8, 24, 10];
// One unit is about one pixel, so that text has the same size on a phone and on a screen.
const [NARROW, WIDE, NARROW_BELOW_PX] = [330, 1080, 640];
const [TICKS_NARROW, TICKS_WIDE] = [4, 8];
const [DOT, SMALL_DOT, SMALL_ABOVE_MOMENTS] = [3, 1.5, 60];

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const pathOf = (points) =>
  points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

/** Return a round number at or above the maximum and 1; above 1, its half is an integer too. */
const roundTop = (maximum) => {
  if (maximum <= 1) return 1;
  const unit = 10 ** Math.floor(Math.log10(maximum));
  return unit * [1, 2, 4, 6, 8, 10].find((factor) => factor * unit >= maximum);
};

/** Return the SERIES_MAX largest series, each with its values by moment and their total. */
const seriesOf = (spec) => {
  const { x, y, color } = spec.encoding;
  const byName = new Map();
  for (const row of spec.data.values) {
    const name = color ? String(row[color.field]) : y.field;
    if (!byName.has(name)) byName.set(name, { name, values: new Map(), total: 0 });
    const series = byName.get(name);
    series.values.set(Date.parse(row[x.field]), row[y.field]);
    series.total += row[y.field];
  }
  return [...byName.values()].sort((a, b) => b.total - a.total).slice(0, SERIES_MAX);
};

/** Return the moments, the top of the y axis, and functions from a moment and a value to x and y. */
const scalesOf = (series) => {
  const moments = [...new Set(series.flatMap(({ values }) => [...values.keys()]))].sort(
    (a, b) => a - b,
  );
  const top = roundTop(Math.max(0, ...series.flatMap(({ values }) => [...values.values()])));
  const width = innerWidth < NARROW_BELOW_PX ? NARROW : WIDE;
  const [first, span] = [moments[0], moments.at(-1) - moments[0]];
  return {
    moments,
    top,
    width,
    x: (at) => LEFT + (span ? ((at - first) / span) * (width - LEFT - RIGHT) : (width - LEFT) / 2),
    y: (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM),
  };
};

const gridOf = ({ top, width, y }) =>
  (top > 1 ? [0, top / 2, top] : [0, top]).flatMap((value) => [
    shape("line", { class: "grid-line", x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
    shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short.format(value)),
  ]);

const axisOf = ({ moments, width, x }, when) => {
  const step = Math.ceil(moments.length / (width === NARROW ? TICKS_NARROW : TICKS_WIDE));
  const anchorOf = (index) => {
    if (moments.length === 1) return "middle";
    return index === 0 ? "start" : index === moments.length - 1 ? "end" : "middle";
  };
  return moments.flatMap((at, index) =>
    index % step
      ? []
      : [shape("text", { x: x(at), y: HEIGHT - 6, "text-anchor": anchorOf(index) }, when(at))],
  );
};

const marksOf = ({ values }, index, { moments, x, y }) => {
  const points = [...values]
    .filter(([, value]) => value !== null)
    .map(([at, value]) => [x(at), y(value)]);
  const r = moments.length > SMALL_ABOVE_MOMENTS ? SMALL_DOT : DOT;
  return [
    shape("path", { class: `mark s${index}`, d: pathOf(points) }),
    ...points.map(([cx, cy]) => shape("circle", { class: `s${index}`, cx, cy, r })),
  ];
};

/** Return a legend, and a function that shows in it the values at a moment; without one, totals. */
const legendOf = (series, when) => {
  const title = element("li");
  const items = series.map(({ name, total, values }, index) => {
    const swatch = shape("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" });
    swatch.append(shape("rect", { class: `s${index}`, width: 10, height: 10, rx: 2 }));
    const text = document.createTextNode("");
    const write = (at) => {
      const value = at === undefined ? total : values.get(at);
      text.data = `${words(name)} ${value === null ? "–" : number.format(value ?? 0)}`;
    };
    return { item: element("li", {}, swatch, text), write };
  });
  const write = (at) => {
    title.textContent = at === undefined ? "Total" : when(at);
    for (const item of items) item.write(at);
  };
  const list = { class: "legend", "aria-live": "polite" };
  return [element("ul", list, title, ...items.map(({ item }) => item)), write];
};

/** Let the pointer and the arrow keys choose a moment of the picture, and call `onMoment` with it. */
const letChoose = (picture, { moments, width, x }, onMoment) => {
  const guide = shape("line", { class: "guide", y1: TOP, y2: HEIGHT - BOTTOM });
  let chosen = -1;
  const choose = (index) => {
    chosen = index;
    const at = moments[index];
    onMoment(at);
    guide.setAttribute("visibility", at === undefined ? "hidden" : "visible");
    for (const end of ["x1", "x2"]) guide.setAttribute(end, at === undefined ? 0 : x(at));
  };
  const chooseNearest = ({ clientX }) => {
    const box = picture.getBoundingClientRect();
    const place = ((clientX - box.left) / box.width) * width;
    const distances = moments.map((at) => Math.abs(x(at) - place));
    choose(distances.indexOf(Math.min(...distances)));
  };
  const keys = {
    ArrowLeft: () => Math.max(0, (chosen < 0 ? moments.length : chosen) - 1),
    ArrowRight: () => Math.min(moments.length - 1, chosen + 1),
    Escape: () => -1,
  };
  for (const type of ["pointermove", "pointerdown"]) picture.addEventListener(type, chooseNearest);
  for (const type of ["pointerleave", "blur"]) picture.addEventListener(type, () => choose(-1));
  picture.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    choose(keys[event.key]());
  });
  picture.append(guide);
  choose(-1);
};

/**
 * Return a chart of lines over time, and its legend. A value of null is left out, because its bucket
 * is in the future. `label` names the chart; `when` formats a moment.
 */
export const lines = (spec, { label, when }) => {
  const series = seriesOf(spec);
  const scales = scalesOf(series);
  const [legend, writeLegend] = legendOf(series, when);
  const picture = shape(
    "svg",
    {
      class: "lines",
      viewBox: `0 0 ${scales.width} ${HEIGHT}`,
      role: "img",
      tabindex: "0",
      "aria-label": `${label}: ${series.map(({ name, total }) => `${words(name)} ${number.format(total)}`).join(", ")}`,
    },
    ...gridOf(scales),
    ...axisOf(scales, when),
    ...series.flatMap((each, index) => marksOf(each, index, scales)),
  );
  letChoose(picture, scales, writeLegend);
  return [picture, legend];
};

/** Return bars of one quantity by name. `note` may return a text to show below a row. */
export const bars = (spec, { note = () => null, value = number.format } = {}) => {
  const { x, y } = spec.encoding;
  const rows = spec.data.values;
  const counts = rows.map((row) => Math.max(0, Number(row[x.field] ?? 0)));
  const maximum = Math.max(1e-9, ...counts);
  const drawn = rows.flatMap((row, index) => {
    const bar = shape(
      "svg",
      { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      shape("rect", { class: "s0", width: (100 * counts[index]) / maximum, height: 10 }),
    );
    const text = note(row, index, rows);
    return [
      element("span", { class: "label" }, String(row[y.field] ?? "–")),
      element("span", { class: "bar" }, bar),
      element("span", { class: "value" }, value(counts[index])),
      text ? element("span", { class: "drop" }, text) : "",
    ];
  });
  return element("div", { class: "bars" }, ...drawn);
};

/** Return a line without axes. The values fill the left part if there will be `count` of them. */
export const spark = (values, label, count = values.length) => {
  const maximum = Math.max(1, ...values);
  const step = 100 / Math.max(1, count - 1);
  const points = values.map((value, index) => [index * step, 26 - (24 * value) / maximum]);
  return shape(
    "svg",
    { viewBox: "0 0 100 28", role: "img", "aria-label": label },
    shape("path", { class: "mark s0", d: pathOf(points) }),
  );
};
