// A page without events: advice, and the line of HTML for a shop's pages.

import { addressOf } from "./address.js";
import { element } from "./dom.js";

const attribute = (name, value) => `${name}="${String(value).replaceAll('"', "&quot;")}"`;

/** Return the line of HTML for a shop's pages. A shop that the directory lacks has no `tenant`. */
export const trackerLine = (say, { tenant_id, tenant }) => {
  const source = attribute("src", `https://${say.text("empty.address")}/beacon.js`);
  const slug = tenant ? ` ${attribute("data-slug", tenant)}` : "";
  return `<script defer ${source} ${attribute("data-tenant", tenant_id)}${slug}></script>`;
};

/** Return the message that no event matches the filters of a state, with a link that removes them. */
export const emptyFiltered = (say, state) =>
  element(
    "p",
    { class: "empty" },
    `${say.text("empty.filtered")} `,
    element("a", { href: addressOf({ ...state, filters: {} }) }, say.text("filter.clear")),
  );

/** Return the message for a period without events, and a shop's line of HTML. */
export const emptyPeriod = (say, line) =>
  element(
    "div",
    { class: "empty" },
    element("p", {}, `${say.text("empty")} ${say.text("empty.shop")}`),
    element("pre", {}, element("code", {}, line)),
  );
