// Periods: the chosen one as dates, buckets and words, in the reader's time zone.

const HOUR_MS = 3600000;
const DAY_MS = 24 * HOUR_MS;
export const PERIODS = { today: 1, "7d": 7, "30d": 30, "90d": 90 };
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The address has an invalid period. The message says what is wrong. */
export class BadAddress extends Error {}

const formatOf = (options, locale = "en") =>
  new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const isoDate = formatOf({ year: "numeric", month: "2-digit", day: "2-digit" }, "en-CA");
const day = formatOf({ month: "short", day: "numeric" });
const dayOfYear = formatOf({ month: "short", day: "numeric", year: "numeric" });
const minute = formatOf(clock);
const second = formatOf({ ...clock, second: "2-digit" });
const full = formatOf({ ...clock, month: "short", day: "numeric", year: "numeric" });

const today = () => isoDate.format(Date.now());
export const secondText = (at) => second.format(new Date(at));
export const momentText = (at) => full.format(new Date(at));

/** Return the function that formats a moment on an axis with this interval. */
export const axisText = (interval) => {
  const format = interval === "hour" ? minute : day;
  return (at) => format.format(at);
};

/** Return the date `count` calendar days later. Days of 23 or 25 hours do not matter. */
const addDays = (date, count) =>
  new Date(Date.parse(date) + count * DAY_MS).toISOString().slice(0, 10);

const isDate = (text) =>
  /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && addDays(text, 0) === text;

/** Return the first and the last date of a period and its number of days. Throw BadAddress. */
export const periodOf = (state) => {
  if (state.period !== "custom") {
    const to = today();
    const days = PERIODS[state.period];
    return { from: addDays(to, 1 - days), to, days };
  }
  const to = state.to || today();
  const from = state.from || to;
  if (!isDate(from) || !isDate(to))
    throw new BadAddress(
      "The address has a date that does not exist. Write “from” and “to” as dates such as 2026-11-23.",
    );
  if (from > to) throw new BadAddress("The period in the address ends before it begins.");
  return { from, to, days: Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS) + 1 };
};

export const intervalOf = ({ days }) => (days <= 2 ? "hour" : days <= 92 ? "day" : "week");

/**
 * Return the period's buckets: `count` is their number, `begun` the number of those whose start is
 * past, and `place` returns the index of a bucket from its start. `since` and `until` limit the
 * period. They and starts are in milliseconds.
 */
export const bucketsOf = ({ from, days }, interval, since, until) => {
  const weekday = (new Date(`${from}T00:00Z`).getUTCDay() + 6) % 7;
  const early = interval === "week" ? weekday : 0;
  const step = interval === "hour" ? HOUR_MS : interval === "day" ? DAY_MS : 7 * DAY_MS;
  const first = since - early * DAY_MS;
  const count =
    interval === "hour"
      ? Math.round((until - since) / step)
      : Math.ceil((days + early) / (step / DAY_MS));
  return {
    count,
    begun: Math.min(count, Math.floor((Date.now() - first) / step) + 1),
    // Rounded, because a day on which the clocks change has 23 or 25 hours.
    place: (at) => Math.round((at - first) / step),
  };
};

/** Return the period that a report is compared with, in words; null if there is none. */
export const comparedText = ({ from, compared_from, compared_to }, { to, days }) => {
  if (!compared_from || compared_from >= compared_to) return null;
  const [first, end] = [new Date(compared_from), new Date(compared_to)];
  // The report compares a period that has not ended with an equally long part of the one before.
  const until = compared_to === from ? "" : ` until ${minute.format(end)}`;
  if (days === 1 && to === today()) return `yesterday${until}`;
  const last = new Date(end - 1);
  const write = isoDate.format(first).slice(0, 4) === today().slice(0, 4) ? day : dayOfYear;
  const [start, finish] = [write.format(first), write.format(last)];
  return (start === finish ? start : `${start} to ${finish}`) + until;
};
