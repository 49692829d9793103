// The frame around the numbers: the title, the choice of the period, the language, and the foot.

import { addressOf, readState } from "./address.js";
import { button, element } from "./dom.js";
import { PERIODS } from "./period.js";
import { LANGUAGES } from "./speech.js";

const option = (say, value) => element("option", { value }, say.text(`period.${value}`));

/** Return the address that changes the language: the service remembers it in a cookie. */
const languageAddress = (language) => {
  const address = addressOf(readState());
  return `${address}${address.includes("?") ? "&" : "?"}language=${language}`;
};

export class Shell {
  #title = document.getElementById("title");
  #form = element("form", { id: "period" });
  #custom = element("span", { class: "dates" });
  #back = element("a", { href: "/", class: "back" });
  #language = element("a", { class: "language" });
  #zone = element("span", { id: "zone" });
  #signOut = element("form", { method: "post", action: "/signout", hidden: true });
  #other;

  /** `navigate` is called with a change of the state. */
  constructor(say, navigate) {
    this.say = say;
    this.navigate = navigate;
    this.#other = Object.keys(LANGUAGES).find((language) => language !== say.language);
    document.documentElement.lang = say.language;
    document.getElementById("skip").textContent = say.text("skip");
    this.#fillForm();
    this.#back.append(say.text("all-shops"));
    this.#language.append(LANGUAGES[this.#other]);
    for (const name of ["lang", "hreflang"]) this.#language.setAttribute(name, this.#other);
    this.#signOut.append(element("button", {}, say.text("sign-out")));
    document
      .getElementById("header")
      .replaceChildren(this.#title, this.#language, this.#back, this.#form);
    const printer = button(say.text("print"), () => print());
    document.getElementById("footer").replaceChildren(this.#zone, printer, this.#signOut);
  }

  showTitle(text) {
    this.#title.textContent = text;
    document.title = `${text} – beaconlog`;
  }

  /** Show the state: `isSignedIn` and `hasOthers` say which links there are. */
  show(state, period, { isSignedIn, hasOthers }) {
    const { period: select, from, to, compare } = this.#form.elements;
    select.value = state.period;
    from.value = period.from;
    to.value = period.to;
    compare.checked = state.compare;
    this.#custom.hidden = state.period !== "custom";
    this.#signOut.hidden = !isSignedIn;
    this.#back.hidden = !hasOthers;
    this.#back.href = addressOf({ ...state, shop: null, filters: {}, find: "" });
    this.#language.href = languageAddress(this.#other);
    this.#zone.textContent = this.say.text("zone", { place: this.say.place() });
  }

  #fillForm() {
    const { say } = this;
    this.#custom.append(
      element(
        "label",
        {},
        `${say.text("from")} `,
        element("input", { type: "date", name: "from" }),
      ),
      element("label", {}, `${say.text("to")} `, element("input", { type: "date", name: "to" })),
    );
    this.#form.setAttribute("aria-label", say.text("period"));
    this.#form.append(
      element(
        "select",
        { name: "period", "aria-label": say.text("period") },
        ...[...Object.keys(PERIODS), "custom"].map((value) => option(say, value)),
      ),
      this.#custom,
      element(
        "label",
        { class: "check" },
        element("input", { type: "checkbox", name: "compare" }),
        ` ${say.text("compare")}`,
      ),
    );
    this.#form.addEventListener("change", this.#change);
    this.#form.addEventListener("submit", (event) => event.preventDefault());
  }

  #change = ({ target }) => {
    const { period, compare, from, to } = this.#form.elements;
    if (target === period) this.navigate({ period: period.value, from: from.value, to: to.value });
    else if (target === compare) this.navigate({ compare: compare.checked });
    else if (from.value && to.value && from.value <= to.value)
      this.navigate({ period: "custom", from: from.value, to: to.value });
  };
}
