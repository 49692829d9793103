// The numbers of a shop's page: per metric its total, its change, and its values over time.

import { bucketsOf, dateOf } from "./period.js";

/** Return the sum of a field; an amount may be a text, and null counts as 0. */
export const sum = (rows, field) => rows.reduce((total, row) => total + Number(row[field] ?? 0), 0);

/** Return a change as a ratio; null if there is nothing to compare with. */
export const growth = (now, before) => (now === null || !before ? null : now / before - 1);

const ratio = (part, whole) => (whole ? part / whole : null);

export const CONTACT_TYPES = [
  "whatsapp_click",
  "call",
  "call_click",
  "maps_click",
  "location_view",
];

/** The value of each metric in a row of the report `trend`. */
const VALUES = {
  visitors: (row) => row.visitors,
  views: (row) => row.views,
  contacts: (row) => row.contacts,
  sales: (row) => row.transactions,
  revenue: (row) => Number(row.value ?? 0),
  rate: (row) => ratio(row.transactions, row.visitors) ?? 0,
};

/** Return the growth of revenue; null if there are several currencies, which cannot be added up. */
const revenueGrowth = (revenue, currency, before) => {
  const others = revenue.filter((row) => row.currency !== currency);
  return others.length ? null : growth(Number(revenue[0]?.value ?? 0), sum(before, "value"));
};

/**
 * Return the numbers of the period from the rows of the reports `summary`, `revenue` and `trend`:
 * per metric `total` and `change`. A rate is a ratio; null if nobody visited.
 */
export const totalsOf = (row, revenue, trend) => {
  const before = trend.filter(({ period }) => period === "before");
  const rate = ratio(row.transactions, row.visitors);
  const rateBefore = ratio(row.transactions_before, row.visitors_before);
  const currency = trend[0]?.currency ?? null;
  return {
    visitors: { total: row.visitors, change: row.visitors_change },
    views: { total: row.view, change: growth(row.view, sum(before, "views")) },
    contacts: {
      total: CONTACT_TYPES.reduce((total, type) => total + row[type], 0),
      change: row.contacts_change,
    },
    sales: { total: row.transactions, change: row.transactions_change },
    revenue: { total: revenue, change: revenueGrowth(revenue, currency, before) },
    rate: { total: rate, change: growth(rate, rateBefore) },
  };
};

/** Return the values of a metric by bucket; a bucket without events is zero. */
const valuesOf = (metric, rows, { begun, place }) => {
  const values = Array(Math.max(1, begun)).fill(0);
  for (const row of rows) {
    const index = place(Date.parse(row.bucket));
    if (index >= 0 && index < values.length) values[index] = VALUES[metric](row);
  }
  return values;
};

/**
 * Return a metric over time: `count` buckets, the values `now` and `before` (null if nothing is
 * compared), and functions from an index to the start of its bucket, `start` and `startBefore`.
 */
export const seriesOf = (metric, { rows, parameters }, period) => {
  const { interval, compared_from: comparedFrom } = parameters;
  const [since, until] = [Date.parse(parameters.from), Date.parse(parameters.to)];
  const buckets = bucketsOf(period, interval, since, until);
  const chosen = (name) => rows.filter((row) => row.period === name);
  const series = {
    count: buckets.count,
    now: valuesOf(metric, chosen("now"), buckets),
    start: buckets.start,
    before: null,
    startBefore: null,
  };
  if (!comparedFrom) return series;
  const earlier = Date.parse(comparedFrom);
  const dates = { from: dateOf(earlier, parameters.tz), days: period.days };
  const bucketsBefore = { ...bucketsOf(dates, interval, earlier, since), begun: series.now.length };
  series.before = valuesOf(metric, chosen("before"), bucketsBefore);
  series.startBefore = bucketsBefore.start;
  return series;
};
