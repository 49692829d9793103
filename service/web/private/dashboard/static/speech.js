// The language of the page: its texts, and how it writes numbers, money and times.

/** The languages that there are texts in, by their own names. */
export const LANGUAGES = { en: "English", es: "Español" };
const LATIN_AMERICA = "es-419";

/** Return the strings of a language; `strings.<language>.js` is made of a JSON file. */
const load = async (language) => (await import(`./strings.${language}.js`)).default;

/** Return the locale of a language: in the country of the shop's currency, else of the browser. */
const localeOf = (language, currency) => {
  // A currency's first letters are a country, or no country's that Intl has rules for, as in EUR.
  if (language === "es" && currency) return `es-${currency.slice(0, 2)}`;
  const own = navigator.languages.find((tag) => tag.startsWith(`${language}-`));
  return own ?? (language === "es" ? LATIN_AMERICA : language);
};

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { month: "short", day: "numeric" };
const COMPACT_FROM = 100000;

/** Return how a number of an axis is written: languages write small thousands in several ways. */
const shortly = (value) => ({
  notation: value < COMPACT_FROM ? "standard" : "compact",
  minimumFractionDigits: 0,
  maximumFractionDigits: 1,
});

const inCurrency = (currency) => ({
  style: "currency",
  currency,
  currencyDisplay: "narrowSymbol",
});

export class Speech {
  #strings;
  #plural;
  #locale;
  #formats = new Map();

  /** Return the speech of a language. `currency` and `zone` are the shop's. */
  static async of(language, { currency, zone }) {
    return new Speech(await load(language), language, localeOf(language, currency), zone);
  }

  constructor(strings, language, locale, zone) {
    this.#strings = strings;
    this.#locale = locale;
    this.#plural = new Intl.PluralRules(locale);
    this.language = language;
    this.zone = zone;
  }

  /** Return whether there is a text of this key. */
  has = (key) => Object.hasOwn(this.#strings, key);

  /** Return a text. `{name}` becomes a value; numbers are formatted; `count` chooses a plural. */
  text = (key, values = {}) => {
    const entry = this.#strings[key];
    const pattern = typeof entry === "string" ? entry : this.#variant(entry, values.count);
    return pattern.replace(/\{(\w+)\}/g, (_, name) => {
      const value = values[name];
      return typeof value === "number" ? this.number(value) : value;
    });
  };

  // Spanish has a plural of its own for a round million, which the texts do without.
  #variant = (entry, count) => entry[this.#plural.select(count)] ?? entry.other;

  /** Return the text of a name of the API, such as "type" and "cart_add"; else the name itself. */
  name = (kind, value) => {
    if (value === null || value === undefined) return this.text("unknown");
    return this.has(`${kind}.${value}`) ? this.text(`${kind}.${value}`) : String(value);
  };

  number = (value) => this.#numbers({ maximumFractionDigits: 2 }).format(value);

  short = (value) => this.#numbers(shortly(value)).format(value);

  percent = (ratio) => this.#numbers({ style: "percent", maximumFractionDigits: 1 }).format(ratio);

  /** Return a change, such as "+40%" for 0.4. */
  change = (ratio) => {
    const options = { style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero" };
    return this.#numbers(options).format(ratio);
  };

  money = (value, currency) =>
    currency ? this.#numbers(inCurrency(currency)).format(value) : this.number(value);

  /** Return an amount in few characters, for an axis. */
  shortMoney = (value, currency) =>
    currency
      ? this.#numbers({ ...inCurrency(currency), ...shortly(value) }).format(value)
      : this.short(value);

  /** Return the name of a country by its code. */
  country = (code) =>
    code ? new Intl.DisplayNames(this.#locale, { type: "region" }).of(code) : this.text("unknown");

  day = (at) => this.#times(DAY).format(new Date(at));

  /** Return a date such as "2026-11-23" in words, without its year. */
  date = (date) => this.#dates(DAY).format(Date.parse(date));

  dateOfYear = (date) => this.#dates({ ...DAY, year: "numeric" }).format(Date.parse(date));

  minute = (at) => this.#times(CLOCK).format(new Date(at));

  moment = (at) => this.#times({ ...DAY, ...CLOCK }).format(new Date(at));

  /** Return the name of a day of the week, 1 for Monday to 7. The year 2024 began on a Monday. */
  weekday = (ordinal) => this.#dates({ weekday: "short" }).format(Date.UTC(2024, 0, ordinal));

  /** Return the name of the zone's place, such as "Tegucigalpa". */
  place = () => this.zone.split("/").at(-1).replaceAll("_", " ");

  #numbers = (options) => this.#format(Intl.NumberFormat, options);

  #times = (options) => this.#format(Intl.DateTimeFormat, { ...options, timeZone: this.zone });

  #dates = (options) => this.#format(Intl.DateTimeFormat, { ...options, timeZone: "UTC" });

  #format(Format, options) {
    const key = JSON.stringify(options);
    if (!this.#formats.has(key)) this.#formats.set(key, new Format(this.#locale, options));
    return this.#formats.get(key);
  }
}
