// The dashboard: all shops, or one shop. Choices are in the address; numbers are from the reports.

import { pushState, readState } from "./address.js";
import { Failure, fetchReader, fetchReport } from "./api.js";
import { button, element } from "./dom.js";
import { shopName } from "./names.js";
import { BadAddress, browserZone, periodOf } from "./period.js";
import { Shell } from "./shell.js";
import { ShopPage } from "./shop.js";
import { ShopsPage } from "./shops.js";
import { LANGUAGES, Speech } from "./speech.js";

const view = document.getElementById("view");
const problem = document.getElementById("problem");
// The service writes the language that the reader chose, else that of the browser.
const { lang: browserLanguage, dataset } = document.documentElement;
const kept = new Map();
let shell;
let drawing = new AbortController();
let page;
let shown = false;

/** Return the result of a fetch, which is made once; a failed one is made again. */
const once = (key, make) => {
  if (!kept.has(key))
    kept.set(
      key,
      make().catch((error) => {
        kept.delete(key);
        throw error;
      }),
    );
  return kept.get(key);
};

/** Return the directory's row of a shop, or only its id if it is not in the directory. */
const fetchShop = async (shop) => {
  const { rows, parameters } = await fetchReport("shops", { tenant: shop, limit: 1 });
  return rows[0] ?? { tenant_id: parameters.tenant };
};

const languageOf = (shop) =>
  dataset.chosen === undefined && Object.hasOwn(LANGUAGES, shop?.language)
    ? shop.language
    : browserLanguage;

/** Return the speech in the language of a shop, or of the browser. */
const speechFor = (shop) => {
  const zone = shop?.timezone ?? browserZone;
  const language = languageOf(shop);
  const currency = shop?.currency ?? null;
  const key = `speech ${language} ${zone} ${currency}`;
  return once(key, () => Speech.of(language, { currency, zone }));
};

/** Return the shell of a speech: the one that is shown, if it has this speech. */
const shellOf = (say) => {
  if (shell?.say !== say) shell = new Shell(say, navigate);
  return shell;
};

/** Return whether the service refused the dates: those far away, or a day that a zone skips. */
const isOfDates = ({ fields = [] }) => fields.includes("from") || fields.includes("to");

const problemText = (say, error) => {
  if (error instanceof BadAddress) return say.text(error.key);
  if (!(error instanceof Failure)) return error.message;
  const { status, fields } = error;
  if (status === 0) return say.text("problem.network");
  if (fields.includes("tenant")) return say.text("problem.shop");
  if (isOfDates(error)) return say.text("problem.dates");
  return say.has(`problem.${status}`)
    ? say.text(`problem.${status}`)
    : say.text("problem.status", { status: String(status) });
};

/** Return the button that leads out of a problem. */
const remedyOf = (say, error) => {
  const leading = (key, change) => button(say.text(key), () => navigate(change));
  if (error instanceof BadAddress || isOfDates(error))
    return leading("period.7d", { period: "7d" });
  if (error.status === 403) return leading("problem.own", { shop: null, filters: {} });
  if (error.fields?.includes("tenant")) return leading("all-shops", { shop: null, filters: {} });
  if (error.status === 422) return leading("filter.clear", { filters: {} });
  return button(say.text("problem.again"), show);
};

const showProblem = async (error) => {
  const { say } = shell ?? shellOf(await speechFor(null));
  const reason = problemText(say, error);
  const text = error instanceof BadAddress ? reason : `${say.text("problem")} ${reason}`;
  problem.replaceChildren(`${text} `, remedyOf(say, error));
  problem.hidden = false;
};

const navigate = (change) => {
  pushState(change);
  show();
};

/** Return the page of a shop, or of all: the one that is shown, if it is the same. */
const pageFor = (shop, reader, say) => {
  const key = `${shop ? shop.tenant_id : "all"} ${say.language}`;
  if (page?.key === key) return page;
  const made = shop
    ? new ShopPage({ shop, reader, showProblem })
    : new ShopsPage({ reader, showProblem });
  made.key = key;
  return made;
};

const draw = async (signal) => {
  shown = false;
  const state = readState();
  const [reader, asked] = await Promise.all([
    once("reader", fetchReader),
    state.shop ? once(`shop ${state.shop}`, () => fetchShop(state.shop)) : null,
  ]);
  const own = reader.tenant_id === null ? null : String(reader.tenant_id);
  const shop = asked ?? (own && (await once(`shop ${own}`, () => fetchShop(own))));
  const say = await speechFor(shop);
  signal.throwIfAborted();
  const around = shellOf(say);
  around.showTitle(shop ? shopName(shop) : say.text("shops"));
  const period = periodOf(state, say.zone);
  around.show(state, period, { isSignedIn: reader.signed_in, hasOthers: Boolean(shop && !own) });
  if (!page) view.replaceChildren(element("p", { class: "loading" }, say.text("loading")));
  const next = pageFor(shop, reader, say);
  await next.draw(say, state, period, signal, () => {
    shown = true;
    problem.hidden = true; // a later refresh may succeed after one that failed
    page = next;
    if (view.firstChild !== page.node) view.replaceChildren(page.node);
  });
};

/** Remove the numbers, which are not those that the address chooses. */
const clear = () => {
  page = undefined;
  view.replaceChildren();
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
    if (!signal.aborted) {
      if (!shown) clear();
      await showProblem(error);
    }
  }
  if (!signal.aborted) view.removeAttribute("aria-busy");
};

/** Follow the links within the page without loading it again. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/?'], a[href='/']");
  const isPlain = !(
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey ||
    event.button
  );
  if (!link || !isPlain || link.hasAttribute("hreflang")) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  show();
});
// A question that is still open when the session ends would be refused, and lead elsewhere.
document.addEventListener("submit", ({ target }) => {
  if (target.method === "post") drawing.abort();
});
addEventListener("popstate", show);
view.replaceChildren(element("p", { class: "loading" }));
show();
