// When people come: visitors by day of the week and hour, as a map of shades.

import { element, shape } from "./dom.js";
import { table } from "./table.js";

const [CELL, LEFT, TOP, DAYS, HOURS, LABELLED] = [12, 34, 16, 7, 24, 4];
const SHADE_MIN = 0.06;

const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;

/** Return the table of the map, closed at first; hours without visitors are left out. */
const hoursTable = (say, rows) =>
  element(
    "details",
    {},
    element("summary", {}, say.text("table")),
    table(
      say.text("panel.hours"),
      [say.text("chart.when"), say.text("column.visitors")],
      rows
        .toSorted((a, b) => a.weekday - b.weekday || a.hour - b.hour)
        .map(({ weekday, hour, visitors }) => [
          `${say.weekday(weekday)} ${clock(hour)}`,
          say.number(visitors),
        ]),
    ),
  );

/** Return the map of the rows of the report `hours`, and its table. */
export const hoursMap = (say, rows) => {
  const visitorsAt = new Map(rows.map((row) => [`${row.weekday} ${row.hour}`, row.visitors]));
  const most = rows.toSorted((a, b) => b.visitors - a.visitors)[0];
  const largest = Math.max(1, most?.visitors ?? 0);
  const cellText = (weekday, hour, visitors) =>
    say.text("hours.cell", {
      day: say.weekday(weekday),
      hour: clock(hour),
      visitors,
    });
  const label = say.text("hours.summary", {
    most: most ? cellText(most.weekday, most.hour, most.visitors) : "–",
  });
  const cells = [];
  for (let day = 0; day < DAYS; day += 1) {
    const y = TOP + day * CELL;
    cells.push(shape("text", { x: 0, y: y + CELL - 3 }, say.weekday(day + 1)));
    for (let hour = 0; hour < HOURS; hour += 1) {
      const visitors = visitorsAt.get(`${day + 1} ${hour}`) ?? 0;
      const place = { x: LEFT + hour * CELL, y, width: CELL - 1.5, height: CELL - 1.5, rx: 2 };
      const opacity = Math.max(SHADE_MIN, visitors / largest).toFixed(2);
      const text = shape("title", {}, cellText(day + 1, hour, visitors));
      cells.push(shape("rect", { ...place, opacity }, text));
    }
  }
  for (let hour = 0; hour < HOURS; hour += LABELLED)
    cells.push(shape("text", { x: LEFT + hour * CELL, y: TOP - 5 }, String(hour).padStart(2, "0")));
  const [width, height] = [LEFT + HOURS * CELL, TOP + DAYS * CELL];
  const attributes = { class: "hours", viewBox: `0 0 ${width} ${height}`, role: "img" };
  const map = shape("svg", { ...attributes, "aria-label": label }, ...cells);
  return element("div", {}, map, hoursTable(say, rows));
};
