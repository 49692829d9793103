// The revenue of shops. Currencies are never added up: shops are in order within each of them.

/** Return the sums of the rows of the report `shop-revenue`, by currency, the most sales first. */
export const sumsOf = (rows) => {
  const sums = new Map();
  for (const { currency, value, transactions } of rows) {
    const sold = sums.get(currency) ?? { currency, value: 0, transactions: 0 };
    sold.value += Number(value);
    sold.transactions += transactions;
    sums.set(currency, sold);
  }
  return [...sums.values()].toSorted((a, b) => b.transactions - a.transactions);
};

/** The revenue of each shop, from the rows of the report `shop-revenue`. */
export class Revenue {
  /** The currencies, that of the most sales first. */
  currencies;
  #byShop;

  constructor(rows) {
    this.currencies = sumsOf(rows).map(({ currency }) => currency);
    this.#byShop = Map.groupBy(rows, (row) => row.tenant_id);
  }

  /** Return the amounts of a shop: that in its own currency first, then that of the most sales. */
  of({ tenant_id: id, currency: own }) {
    const isOwn = ({ currency }) => Number(currency === own);
    return (this.#byShop.get(id) ?? []).toSorted((a, b) => isOwn(b) - isOwn(a));
  }

  /**
   * Return the order of shops by the first of the amounts in `sold`: by currency, then by amount,
   * which `sign` -1 puts from the largest. A shop without sales is the smallest.
   */
  order(sign) {
    const place = new Map(this.currencies.map((currency, index) => [currency, index]));
    return ({ sold: [a] }, { sold: [b] }) => {
      if (!a || !b) return sign * (Number(Boolean(a)) - Number(Boolean(b)));
      return place.get(a.currency) - place.get(b.currency) || sign * (a.value - b.value);
    };
  }
}
