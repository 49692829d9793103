// The whole of a list, in a window over the shop's page: `open` in the address names the list.

import { NO_LIST, ROWS_PER_PAGE, addressOf, withMore } from "./address.js";
import { element, update } from "./dom.js";
import { listTable } from "./lists.js";
import { keepNames } from "./names.js";
import { failedPanel, fetchRows, openPanelOf, panelHead } from "./panels.js";

const withDetails = (list) => ({ ...list, columns: [...list.columns, ...list.details] });

/** Return the link to more rows; null if there are no more that can be shown. */
const moreLink = (say, state) => {
  const more = withMore(state);
  if (!more) return null;
  const text = say.text("more", { count: ROWS_PER_PAGE });
  return element("a", { class: "all", href: addressOf(more) }, text);
};

export class WholeList {
  #body = element("div");
  node = element("dialog", { class: "whole" }, this.#body);
  #key;

  constructor() {
    const close = () => this.node.querySelector(".close").click();
    this.node.addEventListener("cancel", (event) => {
      event.preventDefault();
      close();
    });
    this.node.addEventListener("click", ({ target }) => {
      if (target === this.node) close(); // beside the window
    });
  }

  /** Close the window if the state has no list open, or open it before its rows come. */
  prepare(say, { state, parametersOf }) {
    const panel = openPanelOf(state);
    if (!panel) this.node.close();
    else if (this.node.isConnected) this.#open(say, panel, { state, parametersOf });
  }

  /** Fetch and draw the rows of the list that is open in the state, if there is one. */
  async draw(say, context, signal) {
    const { state, parametersOf, products } = context;
    const panel = openPanelOf(state);
    if (!panel) return;
    this.#open(say, panel, context);
    const limit = state.shown + 1;
    const rows = await fetchRows(panel, parametersOf, signal, limit).catch(() => null);
    if (signal.aborted) return;
    keepNames(products, rows ?? []);
    const shown = rows?.slice(0, state.shown);
    const list = withDetails(panel.list);
    const table = shown ? listTable(say, list, shown, context) : failedPanel(say);
    const scrolled = element("div", { class: "scroll", tabindex: "0" }, table);
    this.#fill(say, panel, context, scrolled, rows?.length > state.shown && moreLink(say, state));
  }

  /** Show the window; what it shows of this list already stays until there is something newer. */
  #open(say, panel, context) {
    if (!this.node.open || this.#key !== panel.key)
      this.#fill(say, panel, context, element("p", { class: "loading" }, say.text("loading")));
    this.#key = panel.key;
    if (!this.node.open) this.node.showModal();
  }

  #fill(say, panel, { state, parametersOf }, ...content) {
    const href = addressOf({ ...state, ...NO_LIST });
    this.node.setAttribute("aria-label", say.text(`panel.${panel.key}`));
    update(
      this.#body,
      element(
        "div",
        { class: "bar" },
        panelHead(say, panel, parametersOf),
        element("a", { class: "close", href, autofocus: true }, say.text("close")),
      ),
      element("p", { class: "note narrow" }, say.text("list.scroll")),
      ...content.filter(Boolean),
    );
  }
}
