// Periods: from what the address asks for to dates, buckets and words, in the reader's own zone.

export const HOUR_MS = 3600000;
export const DAY_MS = 24 * HOUR_MS;
export const PERIODS = { today: 1, "7d": 7, "30d": 30, "90d": 90 };
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The address asks for what cannot be shown; the message says what it takes. */
export class BadAddress extends Error {}

const written = (options, locale = "en") =>
  new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const isoDate = written({ year: "numeric", month: "2-digit", day: "2-digit" }, "en-CA");
const day = written({ month: "short", day: "numeric" });
const dayOfYear = written({ month: "short", day: "numeric", year: "numeric" });
const minute = written(clock);
const second = written({ ...clock, second: "2-digit" });
const full = written({ ...clock, month: "short", day: "numeric", year: "numeric" });

export const today = () => isoDate.format(Date.now());
export const secondText = (at) => second.format(new Date(at));
export const momentText = (at) => full.format(new Date(at));

/** How the axis of an interval writes a moment. */
export const axisText = (interval) => {
  const format = interval === "hour" ? minute : day;
  return (at) => format.format(at);
};

/** Dates are days of a calendar, whatever the hours between them. */
const addDays = (date, count) =>
  new Date(Date.parse(date) + count * DAY_MS).toISOString().slice(0, 10);

const isDate = (text) =>
  /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && addDays(text, 0) === text;

/** The first and the last date of a period, and how many they are. Throws BadAddress. */
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
 * The period's buckets as places in a row: how many there are, how many of them have begun, and the
 * place of one by where it begins. `since` and `until` are the period's ends in milliseconds.
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
    // Rounded: a day in which clocks change is an hour off.
    place: (at) => Math.round((at - first) / step),
  };
};

/** The span that a report says it compares with, in words; null where there is none. */
export const comparedText = ({ from, compared_from, compared_to }, { to, days }) => {
  if (!compared_from || compared_from >= compared_to) return null;
  const [first, end] = [new Date(compared_from), new Date(compared_to)];
  const until = compared_to === from ? "" : ` until ${minute.format(end)}`;
  if (days === 1 && to === today()) return `yesterday${until}`;
  const last = new Date(end - 1);
  const write = isoDate.format(first).slice(0, 4) === today().slice(0, 4) ? day : dayOfYear;
  const [one, other] = [write.format(first), write.format(last)];
  return (one === other ? one : `${one} to ${other}`) + until;
};
