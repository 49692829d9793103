// How the page names what the reports name: types, channels, products, countries, amounts.

import { element } from "./dom.js";

const TRANSLATED = new Set(["type", "channel", "source", "device", "step"]);

/** Return the name of a value of a filter. `products` maps ids to names. */
export const valueName = (say, filter, value, products) => {
  if (value === null || value === undefined) return say.text("unknown");
  if (filter === "product")
    return products.get(String(value)) ?? say.text("product", { id: String(value) });
  if (filter === "country") return say.country(value);
  return TRANSLATED.has(filter) ? say.name(filter, value) : String(value);
};

/** Add the names in rows of products to `products`, by their ids. */
export const keepNames = (products, rows) => {
  for (const { product_id: id, name } of rows) if (name) products.set(String(id), name);
};

export const shopName = ({ name, tenant, tenant_id }) => name ?? tenant ?? `#${tenant_id}`;

/** Return amounts by currency, a line each; zero in the shop's currency if nothing was sold. */
export const amounts = (say, rows, currency) => {
  const texts = rows.map((row) => say.money(Number(row.value), row.currency));
  if (texts.length < 2) return texts[0] ?? say.money(0, currency);
  return element("span", { class: "several" }, ...texts.map((text) => element("span", {}, text)));
};

/** Return a change as text with an arrow, coloured; `null`: there is nothing to compare with. */
export const changeNote = (say, change) => {
  if (change === null || change === undefined)
    return element("span", { class: "change" }, say.text("change.none"));
  const rounded = Math.round(100 * change);
  const [direction, arrow] =
    rounded > 0 ? ["up", "▲ "] : rounded < 0 ? ["down", "▼ "] : ["same", ""];
  return element("span", { class: `change ${direction}` }, arrow + say.change(change));
};
