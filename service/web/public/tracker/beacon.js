/*
 * The tracker: counts what happens on a shop's page and sends it to where this script came from.
 *
 *   <script defer src="https://stats.example/beacon.js" data-tenant="42" data-slug="la-colmena"></script>
 *
 * Invariants:
 * - The page never notices: nothing throws, whatever is missing, refused or broken.
 * - An event has its event_id from the start and is kept until the server has answered for good:
 *   with a status below 429. Until then it is sent again, which may repeat one that did arrive:
 *   the server counts an id once within 24 hours, so an event is given up before it is that old.
 * - Kept means in localStorage, one entry an event, the latest 50; each goes when its event has
 *   arrived. Under Global Privacy Control, or where the browser refuses, it means in memory.
 * - Every event of a visit, which is a tab's life, carries the visit's source: what its landing was
 *   tagged with (utm_source) and the other site that led there, until another tag replaces both.
 *   They are kept in sessionStorage, under the same conditions. A return from another site, such
 *   as a payment, is no landing.
 * - A request needs no preflight, carries no credentials to another origin, and keepalive lets it
 *   outlive its page. What is pending goes when the page is hidden; what fails then, the next page
 *   sends. It is fetch and not sendBeacon, which does not tell whether an event has arrived.
 *
 * `make tracker` writes the small form, beacon.min.js, which must be below 1 200 bytes gzipped.
 */
(() => {
  let { dataset: { tenant, slug, product } = {}, src } = document.currentScript || 0;
  const sending = {};
  let store = {};
  let session = {};
  let visit;
  let seen;

  const guard = (work) => (...given) => {
    try {
      if (tenant > 0) work(...given);
    } catch {}
  };

  // A key is beaconlog:<ms since 1970>:<path of the endpoint>:<event_id>; its value is the body.
  const flush = () =>
    Object.keys(store)
      .sort()
      .reverse()
      .filter((key) => /^beaconlog:/.test(key))
      .forEach(async (key, place) => {
        const [, at, path] = key.split(":");
        if (sending[key]) return;
        try {
          if (
            place > 49 ||
            at < new Date() - 8e7 ||
            (await (sending[key] = fetch(new URL("api/v1/" + path, src), {
              keepalive: 1,
              method: "POST",
              body: store[key],
            }))).status < 429
          )
            delete store[key];
        } catch {}
        delete sending[key];
      });

  const post = guard((path, event) => {
    // The UUID of a new blob's address: pages without TLS have no crypto.randomUUID.
    const event_id = URL.createObjectURL(new Blob()).slice(-36);
    const body = JSON.stringify({
      tenant_id: +tenant,
      tenant_slug: slug,
      event_id,
      timestamp: new Date(),
      ...event,
      metadata: { ...visit, ...event?.metadata },
    });
    const key = "beaconlog:" + +new Date() + ":" + path + ":" + event_id;
    try {
      store[key] = body;
    } catch {
      store = { [key]: body };
    }
    flush();
  });

  const track = guard((type, given) =>
    post(/^view|_click/.test(type) ? "interactions" : "analytics/track", { type, ...given })
  );

  // Whatever happens: counts the view of a URL that is new, then the click or what else it is.
  const listen = guard(({ target, button } = {}) => {
    const { pathname, search, searchParams, host } = new URL(location);
    if (seen != (seen = pathname + search)) {
      const [, , from] = document.referrer.split("/");
      // As much of it as the collector takes: it would refuse every event of the visit.
      const [source] = /[^\0]{1,255}/u.exec(searchParams.get("utm_source") || "") || [];
      if (source || !visit) {
        visit = { source, referrer: from == host ? undefined : from };
        guard(() => (session.beaconlog = JSON.stringify(visit)))();
      }
      track("view", {
        product_id: +product,
        metadata: { path: pathname },
      });
      // It was the product of the page that was loaded, not of those navigated to within it.
      product = {};
    }
    if (button < 2)
      // The nearest element that says what it is decides; a click counts once.
      for (let type; target && !type; target = target.parentElement) {
        const { href, dataset: { beacon, product } } = target;
        type =
          beacon ||
          (/^tel:/.test(href)
            ? "call_click"
            : /^whatsapp:|^https?:..(wa.me|api.whatsapp.com)\//.test(href)
            ? "whatsapp_click"
            : /^geo:|^https?:..(www.)?(maps\.|goo(gle)?\.[a-z.]+\/maps|waze\.)/.test(href) &&
              "maps_click");
        if (type) track(type, { product_id: +product });
      }
    else flush();
  });

  // Backs off by doubling, and begins anew, lower, past 100 s.
  const tick = (wait_ms) => {
    listen();
    setTimeout(tick, wait_ms, (2 * wait_ms) % 1e5);
  };

  self.beacon = {
    track,
    conversion: (given) => post("analytics/conversion", given),
  };
  guard(() => {
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function (...given) {
        setTimeout(listen);
        return original.apply(this, given);
      };
    }
    for (const name of ["click", "auxclick", "popstate", "online", "visibilitychange"])
      addEventListener(name, listen, true);
    if (!navigator.globalPrivacyControl) {
      store = localStorage;
      session = sessionStorage;
      visit = JSON.parse(session.beaconlog);
    }
  })();
  tick(1e3);
})();
