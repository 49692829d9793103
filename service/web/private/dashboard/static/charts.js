// Draws the charts of etl/reports/charts.py: the part of Vega-Lite that is used there, as SVG and lists.
// Every chart says in words what it shows; the numbers themselves stand in a table beside it.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 7;
const [HEIGHT, LEFT, BOTTOM, TOP] = [240, 44, 24, 10];
// About a unit a pixel, so that the letters are as large on a phone as on a screen.
const [NARROW, WIDE, NARROW_BELOW_PX] = [330, 1080, 640];
const [TICKS_NARROW, TICKS_WIDE] = [4, 8];

const shape = (name, attributes, ...children) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

export const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A round number at or above the greatest value, whose half is whole too; or one. */
const roundTop = (greatest) => {
  if (greatest <= 1) return 1;
  const unit = 10 ** Math.floor(Math.log10(greatest));
  const times = [1, 2, 4, 6, 8, 10].find((one) => one * unit >= greatest);
  return times * unit;
};

const seriesOf = (spec) => {
  const { x, y, color } = spec.encoding;
  const found = new Map();
  for (const row of spec.data.values) {
    const name = color ? String(row[color.field]) : y.field;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ at: Date.parse(row[x.field]), value: row[y.field] });
  }
  const total = (points) => points.reduce((sum, point) => sum + point.value, 0);
  return [...found]
    .map(([name, points]) => ({ name, points, total: total(points) }))
    .sort((one, other) => other.total - one.total);
};

/** Lines over time, from the first bucket to the last; a null is not drawn, for it is yet to come.
 * `label` names the chart, `when` writes a moment. */
export const lines = (spec, { label, when }) => {
  const width = innerWidth < NARROW_BELOW_PX ? NARROW : WIDE;
  const series = seriesOf(spec);
  const moments = [
    ...new Set(series.flatMap((one) => one.points.map((point) => point.at))),
  ].sort((a, b) => a - b);
  const shown = series.slice(0, COLOURS);
  const drawn = shown.map((one) => ({
    ...one,
    points: one.points.filter((point) => point.value !== null),
  }));
  const top = roundTop(
    Math.max(0, ...drawn.flatMap((one) => one.points.map((point) => point.value))),
  );
  const [first, last] = [moments[0], moments.at(-1)];
  const placeX = (at) =>
    LEFT +
    (last === first ? (width - LEFT) / 2 : ((at - first) / (last - first)) * (width - LEFT - 8));
  const placeY = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const words = `${label}: ${shown.map((one) => `${one.name} ${number.format(one.total)}`).join(", ")}`;
  const picture = shape("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": words,
  });
  for (const share of top > 1 ? [0, 0.5, 1] : [0, 1]) {
    const y = placeY(top * share);
    picture.append(
      shape("line", { class: "grid-line", x1: LEFT, x2: width, y1: y, y2: y }),
      shape("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short.format(top * share)),
    );
  }
  const every = Math.ceil(moments.length / (width === NARROW ? TICKS_NARROW : TICKS_WIDE));
  moments.forEach((at, index) => {
    if (index % every) return;
    const anchor =
      moments.length === 1
        ? "middle"
        : index === 0
          ? "start"
          : index === moments.length - 1
            ? "end"
            : "middle";
    picture.append(
      shape("text", { x: placeX(at), y: HEIGHT - 6, "text-anchor": anchor }, when(at)),
    );
  });
  drawn.forEach((one, index) => {
    const path = one.points.map(
      (point, place) =>
        `${place ? "L" : "M"}${placeX(point.at).toFixed(1)},${placeY(point.value).toFixed(1)}`,
    );
    picture.append(shape("path", { class: `mark s${index}`, d: path.join("") }));
    for (const point of one.points) {
      const tip = shape(
        "title",
        {},
        `${when(point.at)} ${one.name}: ${number.format(point.value)}`,
      );
      picture.append(
        shape(
          "circle",
          {
            class: `dot s${index}`,
            cx: placeX(point.at),
            cy: placeY(point.value),
            r: moments.length > 60 ? 1.5 : 3,
          },
          tip,
        ),
      );
    }
  });
  return [picture, legend(shown)];
};

const legend = (shown) =>
  element(
    "ul",
    { class: "legend" },
    ...shown.map((one, index) =>
      element(
        "li",
        {},
        shape(
          "svg",
          { viewBox: "0 0 10 10", "aria-hidden": "true" },
          shape("rect", { class: `s${index}`, width: 10, height: 10, rx: 2 }),
        ),
        `${one.name.replaceAll("_", " ")} ${number.format(one.total)}`,
      ),
    ),
  );

/** Bars of one quantity by name. `note` may say more below a row. */
export const bars = (spec, { note = () => null, value = number.format } = {}) => {
  const { x, y } = spec.encoding;
  const rows = spec.data.values;
  const greatest = Math.max(1e-9, ...rows.map((row) => Number(row[x.field] ?? 0)));
  return [
    element(
      "div",
      { class: "bars" },
      ...rows
        .flatMap((row, index) => {
          const share = Math.max(0, Number(row[x.field] ?? 0)) / greatest;
          const bar = shape(
            "svg",
            { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
            shape("rect", { class: "s0", width: 100 * share, height: 10 }),
          );
          const more = note(row, index, rows);
          return [
            element("span", { class: "label" }, String(row[y.field] ?? "–")),
            element("span", { class: "bar" }, bar),
            element("span", { class: "value" }, value(Number(row[x.field] ?? 0), row)),
            more ? element("span", { class: "drop" }, more) : null,
          ];
        })
        .filter(Boolean),
    ),
  ];
};

/** A line without axes, of values that are the first of `count`. */
export const spark = (values, label, count = values.length) => {
  const greatest = Math.max(1, ...values);
  const step = 100 / Math.max(1, count - 1);
  const path = values.map(
    (value, place) =>
      `${place ? "L" : "M"}${(place * step).toFixed(1)},${(26 - (24 * value) / greatest).toFixed(1)}`,
  );
  return shape(
    "svg",
    { viewBox: "0 0 100 28", role: "img", "aria-label": label },
    shape("path", { class: "mark s0", d: path.join("") }),
  );
};
