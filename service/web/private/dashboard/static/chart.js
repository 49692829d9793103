// The chart over time: one metric, the period before as a dashed line, and a readout.

import { element, shape, update } from "./dom.js";

const [LEFT, RIGHT, BOTTOM, TOP] = [46, 10, 22, 10];
const [HEIGHT_NARROW, HEIGHT_WIDE, NARROW_BELOW_PX, WIDTH_MIN] = [180, 230, 560, 260];
const TICK_PX = 76;
const DOTS_MAX = 32;

const pathOf = (points) =>
  points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

/** Return a round number at or above the maximum; for counts at least 1, and halves are whole. */
const roundTop = (maximum, isCount) => {
  if (isCount && maximum <= 1) return 1;
  if (!(maximum > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(maximum));
  return unit * [1, 2, 4, 6, 8, 10].find((factor) => factor * unit >= maximum * (1 - 1e-9));
};

const scalesOf = ({ count, now, before, isCount }, width) => {
  const height = width < NARROW_BELOW_PX ? HEIGHT_NARROW : HEIGHT_WIDE;
  const top = roundTop(Math.max(0, ...now, ...(before ?? [])), isCount);
  return {
    width,
    height,
    top,
    x: (index) =>
      count > 1 ? LEFT + (index / (count - 1)) * (width - LEFT - RIGHT) : (LEFT + width) / 2,
    y: (value) => TOP + (1 - value / top) * (height - TOP - BOTTOM),
  };
};

const gridOf = ({ top, width, y }, { isCount, axis }) =>
  (isCount && top === 1 ? [0, top] : [0, top / 2, top]).flatMap((value) => [
    shape("line", { class: "grid-line", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    shape("text", { class: "y", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, axis(value)),
  ]);

const axisOf = ({ width, height, x }, { count, when }) => {
  const step = Math.max(1, Math.ceil((count * TICK_PX) / (width - LEFT)));
  const anchorOf = (index) => {
    if (count === 1) return "middle";
    return index === 0 ? "start" : index === count - 1 ? "end" : "middle";
  };
  return Array.from({ length: Math.ceil(count / step) }, (_, place) => place * step).map((index) =>
    shape(
      "text",
      { class: "x", x: x(index), y: height - 5, "text-anchor": anchorOf(index) },
      when(index),
    ),
  );
};

const pointsOf = (values, { x, y }) => values.map((value, index) => [x(index), y(value)]);

const areaOf = (points, { y }) => {
  if (points.length < 2) return null;
  const [first, last] = [points[0], points.at(-1)];
  const base = y(0).toFixed(1);
  return shape("path", {
    class: "area",
    d: `${pathOf(points)}L${last[0].toFixed(1)},${base}L${first[0].toFixed(1)},${base}Z`,
  });
};

const marksOf = ({ now, before }, scales) => {
  const points = pointsOf(now, scales);
  const dots = points.length > DOTS_MAX ? points.slice(-1) : points;
  return [
    before && shape("path", { class: "mark before", d: pathOf(pointsOf(before, scales)) }),
    areaOf(points, scales),
    shape("path", { class: "mark now", d: pathOf(points) }),
    ...dots.map(([cx, cy]) => shape("circle", { class: "dot", cx, cy, r: 3 })),
  ];
};

/**
 * A chart that stays in the page while its model changes. A model has a `metric` and a `label`,
 * `count` buckets, the values `now` of those that began and, if compared, `before`. `axis` formats
 * a value of the axis, `when` the start of a bucket, and `read` returns the readout of a bucket. With
 * `isCount` the values are whole numbers.
 */
export class Chart {
  #readout = element("p", { class: "readout", "aria-live": "polite" });
  #picture = shape("svg", { class: "lines", role: "img", tabindex: "0" });
  #guide = shape("line", { class: "guide" });
  node = element("figure", { class: "chart" }, this.#readout, this.#picture);
  #chosen = -1;
  #model;
  #scales;

  constructor() {
    new ResizeObserver(() => {
      if (this.#model && this.#scales.width !== this.#width()) this.#draw();
    }).observe(this.node);
    for (const type of ["pointermove", "pointerdown"])
      this.#picture.addEventListener(type, this.#chooseNearest);
    this.#picture.addEventListener("blur", () => this.#choose(-1));
    // A finger leaves when it is lifted; the readout stays until another place is touched.
    this.#picture.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType === "mouse") this.#choose(-1);
    });
    this.#picture.addEventListener("keydown", this.#press);
  }

  update(model) {
    this.#model = model;
    this.#draw();
  }

  #width() {
    return Math.max(WIDTH_MIN, Math.round(this.node.clientWidth));
  }

  #draw() {
    const model = this.#model;
    const scales = scalesOf(model, this.#width());
    this.#scales = scales;
    this.node.dataset.metric = model.metric;
    this.#picture.setAttribute("viewBox", `0 0 ${scales.width} ${scales.height}`);
    this.#picture.setAttribute("aria-label", model.label);
    const drawn = [...gridOf(scales, model), ...axisOf(scales, model), ...marksOf(model, scales)];
    this.#guide.setAttribute("y1", TOP);
    this.#guide.setAttribute("y2", scales.height - BOTTOM);
    this.#guide.remove();
    update(this.#picture, ...drawn.filter(Boolean));
    this.#picture.append(this.#guide);
    this.#choose(Math.min(this.#chosen, model.now.length - 1));
  }

  #choose(index) {
    this.#chosen = index;
    const isChosen = index >= 0;
    this.#guide.setAttribute("visibility", isChosen ? "visible" : "hidden");
    for (const end of ["x1", "x2"])
      this.#guide.setAttribute(end, isChosen ? this.#scales.x(index) : 0);
    update(this.#readout, ...this.#model.read(index));
  }

  #chooseNearest = ({ clientX }) => {
    const { left, width } = this.#picture.getBoundingClientRect();
    const place = ((clientX - left) / width) * this.#scales.width;
    const distances = this.#model.now.map((_, index) => Math.abs(this.#scales.x(index) - place));
    this.#choose(distances.indexOf(Math.min(...distances)));
  };

  #press = (event) => {
    const last = this.#model.now.length - 1;
    const chosen = {
      ArrowLeft: () => (this.#chosen < 0 ? last : Math.max(0, this.#chosen - 1)),
      ArrowRight: () => Math.min(last, this.#chosen + 1),
      Home: () => 0,
      End: () => last,
      Escape: () => -1,
    };
    if (!Object.hasOwn(chosen, event.key)) return;
    event.preventDefault();
    this.#choose(chosen[event.key]());
  };
}

/** Return a line without axes. The values fill the left part if there will be `count` of them. */
export const spark = (values, label, count = values.length) => {
  const maximum = Math.max(1, ...values);
  const step = 100 / Math.max(1, count - 1);
  const points = values.map((value, index) => [index * step, 26 - (24 * value) / maximum]);
  return shape(
    "svg",
    { viewBox: "0 0 100 28", role: "img", "aria-label": label },
    shape("path", { class: "mark now", d: pathOf(points) }),
  );
};
