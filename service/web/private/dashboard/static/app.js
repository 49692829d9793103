// The dashboard: all shops, or one shop. Choices are in the address; numbers are from the report API.

import { pushState, readState } from "./address.js";
import { fetchReader } from "./api.js";
import { button } from "./dom.js";
import { nothing, number } from "./messages.js";
import { BadAddress, periodOf, zone } from "./period.js";
import { drawShop } from "./shop.js";
import { drawShops } from "./shops.js";

const view = document.getElementById("view");
const problem = document.getElementById("problem");
const form = document.getElementById("period");
let readerOnce;
let drawing = new AbortController();

const showTitle = (text) => {
  document.getElementById("title").textContent = text;
  document.title = `${text} – beaconlog`;
};

const showSnapshot = ({ snapshot }) => {
  document.getElementById("snapshot").textContent =
    `version ${snapshot.version} of the lake and ${number.format(snapshot.tail_events)} newer events of the log`;
};

const showProblem = (error) => {
  const isAddress = error instanceof BadAddress;
  const [text, action] = isAddress
    ? [error.message, button("Last 7 days", () => navigate({ period: "7d" }))]
    : [`The numbers cannot be shown: ${error.message}`, button("Try again", show)];
  problem.replaceChildren(`${text} `, action);
  problem.hidden = false;
  if (isAddress || view.querySelector(".loading")) view.replaceChildren(nothing("No numbers."));
};

const fillForm = (state, period) => {
  form.elements.period.value = state.period;
  form.elements.from.value = period.from;
  form.elements.to.value = period.to;
  form.elements.compare.checked = state.compare;
  document.getElementById("custom").hidden = state.period !== "custom";
};

const navigate = (change) => {
  pushState(change);
  show();
};

const page = { navigate, showTitle, showSnapshot, showProblem };

const draw = async (signal) => {
  const state = readState();
  readerOnce ??= fetchReader();
  const reader = await readerOnce.catch((error) => {
    readerOnce = undefined; // so that "Try again" does
    throw error;
  });
  signal.throwIfAborted();
  const own = reader.tenant_id === null ? null : String(reader.tenant_id);
  document.getElementById("signout").hidden = !reader.signed_in;
  showTitle(state.shop ?? (own ? "Your shop" : "Shops"));
  const period = periodOf(state);
  fillForm(state, period);
  const shop = state.shop ?? own;
  if (!shop) return drawShops(view, { state, period, signal, page });
  const ofShop = { ...state, shop, isChosen: state.shop !== null };
  return drawShop(view, { state: ofShop, period, signal, page });
};

/** Draw the page that the address chooses; abort the previous drawing. */
const show = async () => {
  drawing.abort();
  drawing = new AbortController();
  const { signal } = drawing;
  problem.hidden = true;
  view.setAttribute("aria-busy", "true");
  try {
    await draw(signal);
  } catch (error) {
    if (!signal.aborted) showProblem(error);
  }
  if (!signal.aborted) view.removeAttribute("aria-busy");
};

form.addEventListener("change", ({ target }) => {
  const { period, compare, from, to } = form.elements;
  if (target === period) navigate({ period: period.value, from: from.value, to: to.value });
  else if (target === compare) navigate({ compare: compare.checked });
  else if (from.value && to.value && from.value <= to.value)
    navigate({ period: "custom", from: from.value, to: to.value });
});
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("home").addEventListener("click", (event) => {
  event.preventDefault();
  navigate({ shop: null });
});
document.getElementById("zone").textContent = zone;
addEventListener("popstate", show);
show();
