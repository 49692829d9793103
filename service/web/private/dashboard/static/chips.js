// The filters that are set, each with a link that removes it.

import { addressOf, filteredAddress } from "./address.js";
import { element } from "./dom.js";
import { valueName } from "./names.js";

const chip = (say, state, filter, value, products) => {
  const texts = {
    name: say.text(`name.${filter}`),
    value: valueName(say, filter, value, products),
  };
  return element(
    "li",
    {},
    element(
      "a",
      {
        class: "chip",
        href: filteredAddress(state, { [filter]: null }),
        "aria-label": say.text("filter.remove", texts),
      },
      say.text("filter", texts),
      element("span", { "aria-hidden": "true" }, " ✕"),
    ),
  );
};

/** Return the chips of the filters that are set. */
export const chipsOf = (say, state, products) => {
  const filters = Object.entries(state.filters);
  const all =
    filters.length > 1
      ? element(
          "li",
          {},
          element("a", { href: addressOf({ ...state, filters: {} }) }, say.text("filter.clear")),
        )
      : null;
  return [
    ...filters.map(([filter, value]) => chip(say, state, filter, value, products)),
    all,
  ].filter(Boolean);
};
