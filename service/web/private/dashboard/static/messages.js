// The texts of the page: numbers, changes, data quality, and advice if there are no events.

import { element } from "./dom.js";

const REASONS = {
  "product-not-found": "product not found",
  "tenant-not-found": "shop not found or not active",
  "not-json": "not JSON",
  "body-too-large": "too large",
  "media-type-unsupported": "not sent as JSON",
  "directory-unavailable": "the directory could not be read",
  "signature-missing": "unsigned sales of a shop that accepts only signed ones",
};

export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** Return a count with its noun, "1 event" or "2 events". */
const counted = (count, noun) => `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/** Return a name of the API as words; a dash if there is none. */
export const words = (name) => String(name ?? "–").replaceAll("_", " ");

export const shopName = ({ tenant, tenant_id }) => tenant ?? `#${tenant_id}`;

/** Return a change as a signed percentage, such as "+40%" for 0.4 or "−38%" for -0.38. */
export const changeText = (change) => {
  const percent = Math.round(100 * change);
  const sign = percent > 0 ? "+" : percent < 0 ? "−" : "";
  return `${sign}${number.format(Math.abs(percent))}%`;
};

/** Return the sentence that explains a row of the report `quality`. */
export const qualityText = ({ outcome, reason, events, value }) => {
  const was = events === 1 ? "was" : "were";
  switch (outcome) {
    case "accepted":
      return `${counted(events, "event")} ${was} accepted.`;
    case "bots":
      return `${number.format(events)} of them came from crawlers; the numbers here leave them out.`;
    case "duplicates":
      return `${counted(events, "event")} arrived again and ${was} counted once.`;
    case "another-amount":
      return `${counted(events, "sale")} arrived again with another amount (${number.format(value)} ${reason}): the first amount counts.`;
    default:
      return `${counted(events, "event")} ${was} rejected: ${REASONS[reason] ?? words(reason).replaceAll("-", " ")}.`;
  }
};

export const nothing = (text) => element("p", { class: "empty" }, text);

/** Return the message for a period without events: advice and, if any, a line of HTML to copy. */
export const emptyPeriod = (advice, line) =>
  element(
    "div",
    { class: "empty" },
    element("p", {}, `No events in this period. ${advice}`),
    line ? element("pre", {}, element("code", {}, line)) : null,
  );

const attribute = (name, value) => `${name}="${String(value).replaceAll('"', "&quot;")}"`;

/** Return the line of HTML for a shop's pages. `tenant` is missing if the shop is not in the directory. */
export const trackerLine = ({ tenant_id, tenant }) => {
  const source = attribute("src", `${location.protocol}//YOUR-PUBLIC-ADDRESS/beacon.js`);
  const slug = tenant ? ` ${attribute("data-slug", tenant)}` : "";
  return `<script defer ${source} ${attribute("data-tenant", tenant_id)}${slug}></script>`;
};
