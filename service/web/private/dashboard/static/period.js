// Periods: the chosen one as dates, buckets and words, in the zone of the numbers.

const HOUR_MS = 3600000;
export const DAY_MS = 24 * HOUR_MS;
/** The named periods: their days, and how many days ago they end. */
export const PERIODS = {
  today: { days: 1, ago: 0 },
  yesterday: { days: 1, ago: 1 },
  "7d": { days: 7, ago: 0 },
  "30d": { days: 30, ago: 0 },
  "90d": { days: 90, ago: 0 },
};
export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The address has an invalid period. `key` is the text that says what is wrong. */
export class BadAddress extends Error {
  constructor(key) {
    super(key);
    this.key = key;
  }
}

/** Return the date of a moment in a zone, such as "2026-11-23". */
export const dateOf = (at, zone) => {
  const parts = { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" };
  return new Intl.DateTimeFormat("en-CA", parts).format(at);
};

/** Return the date `count` calendar days later. Days of 23 or 25 hours do not matter. */
const addDays = (date, count) =>
  new Date(Date.parse(date) + count * DAY_MS).toISOString().slice(0, 10);

const isDate = (text) =>
  /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && addDays(text, 0) === text;

/** Return the first and the last date of a period and its number of days. Throw BadAddress. */
export const periodOf = (state, zone) => {
  const today = dateOf(Date.now(), zone);
  if (state.period !== "custom") {
    const { days, ago } = PERIODS[state.period];
    const to = addDays(today, -ago);
    return { from: addDays(to, 1 - days), to, days, isCurrent: ago === 0 };
  }
  const to = state.to || today;
  const from = state.from || to;
  if (!isDate(from) || !isDate(to)) throw new BadAddress("problem.date");
  if (from > to) throw new BadAddress("problem.order");
  const days = Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1;
  return { from, to, days, isCurrent: from <= today && today <= to };
};

export const intervalOf = ({ days }) => (days <= 2 ? "hour" : days <= 92 ? "day" : "week");

/**
 * Return the period's buckets: `count` is their number, `begun` the number that have begun, `place`
 * returns the index of a bucket by its start, and `start` the start of a bucket by its index (of a
 * day, a moment in its first hours). `since` and `until` limit the period. All are milliseconds.
 */
export const bucketsOf = ({ from, days }, interval, since, until) => {
  const weekday = (new Date(`${from}T00:00Z`).getUTCDay() + 6) % 7;
  const early = interval === "week" ? weekday : 0;
  const step = interval === "hour" ? HOUR_MS : interval === "day" ? DAY_MS : 7 * DAY_MS;
  const first = since - early * DAY_MS;
  // Steps of 24 hours miss a midnight by an hour after the clocks change; this stays in the day.
  const within = interval === "hour" ? 0 : 2 * HOUR_MS;
  const count =
    interval === "hour"
      ? Math.round((until - since) / step)
      : Math.ceil((days + early) / (step / DAY_MS));
  return {
    count,
    begun: Math.min(count, Math.floor((Date.now() - first) / step) + 1),
    // Rounded, because a day on which the clocks change has 23 or 25 hours.
    place: (at) => Math.round((at - first) / step),
    start: (index) => first + index * step + within,
  };
};

/** Return the span between two dates, both included, in words. */
const spanText = (say, from, to) => {
  const isThisYear = from.slice(0, 4) === dateOf(Date.now(), say.zone).slice(0, 4);
  const write = isThisYear ? say.date : say.dateOfYear;
  return from === to ? write(from) : say.text("span", { from: write(from), to: write(to) });
};

/** Return a period in words. */
export const periodText = ({ from, to }, say) => spanText(say, from, to);

/** Return the period that a report is compared with, in words; null if there is none. */
export const comparedText = ({ from, compared_from, compared_to }, { to, days }, say) => {
  if (!compared_from || compared_from >= compared_to) return null;
  const [first, end] = [new Date(compared_from), new Date(compared_to)];
  // The report compares a period that has not ended with an equally long part of the one before.
  const until = (span) =>
    compared_to === from ? span : say.text("span.until", { span, time: say.minute(end) });
  const today = dateOf(Date.now(), say.zone);
  if (days === 1 && to === today) return until(say.text("yesterday"));
  return until(spanText(say, dateOf(first, say.zone), dateOf(new Date(end - 1), say.zone)));
};
