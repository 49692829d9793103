// Facts about visits.

import { element } from "./dom.js";
import { emptyPanel } from "./table.js";

const MINUTE_S = 60;

const lengthText = (say, seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  const [minutes, rest] = [Math.floor(whole / MINUTE_S), whole % MINUTE_S];
  return minutes
    ? say.text("minutes", { minutes, seconds: rest })
    : say.text("seconds", { seconds: rest });
};

const fact = (name, value) => [element("dt", {}, name), element("dd", {}, value)];

/** Return the facts of the row of the report `visits`. */
export const visitFacts = (say, [row]) => {
  if (!row?.visits) return emptyPanel(say);
  return element(
    "dl",
    { class: "facts" },
    ...fact(say.text("visits.visits"), say.number(row.visits)),
    ...fact(say.text("visits.pages"), say.number(row.pages_per_visit ?? 0)),
    ...fact(say.text("visits.bounce"), say.percent(row.bounce_rate ?? 0)),
    ...fact(say.text("visits.duration"), lengthText(say, row.duration_s_median)),
  );
};
