/*
 * The tracker: sends the events of a shop's page to the server that this script was loaded from.
 *
 *   <script defer src="https://stats.example/beacon.js" data-tenant="42" data-slug="la-colmena"></script>
 *
 * Invariants:
 * - The tracker never disturbs the page: no error leaves it, even if a part of the browser is
 *   missing, forbidden or broken. It replaces no function of the page.
 * - An event gets its event_id when it is created, and is stored until its result in the response
 *   is not `retryable`. Until then it is sent again. The server may have counted it before, but it
 *   counts an id once within 24 hours; so an event is dropped earlier.
 * - Events are stored in localStorage, the latest 50, one entry per event. Under Global Privacy
 *   Control, or if the browser forbids localStorage, they are stored in memory.
 * - A visit lasts as long as its tab. Every event of the visit has its context: the query string of
 *   the page where it began, and the site that linked there. A page with a campaign (utm_...) or a
 *   click id (gclid, fbclid, ttclid, msclkid) begins it anew. The context is stored in
 *   sessionStorage, with the same exceptions. A return from another site, such as that of a payment,
 *   changes nothing.
 * - A link to WhatsApp gets a short reference to its click only if the page asks for it (data-ref),
 *   and only if sessionStorage may be used; so not under Global Privacy Control.
 * - A request needs no preflight, sends no credentials to another origin, and may outlive its page
 *   (keepalive). Stored events are sent when the page is hidden; if that fails, the next page sends
 *   them. Not sendBeacon, which does not report whether an event has arrived.
 *
 * Browsers that have no Navigation API (before 2026, except Chromium) do not tell that a script has
 * changed the URL. There, the view is counted at the next click, timer or change of visibility.
 *
 * `make tracker` writes the small form, beacon.min.js, which must be below 1 200 bytes gzipped. Where
 * two ways are equal, this file takes the one that compresses better.
 */
(() => {
  const script = document.currentScript;
  const data = script?.dataset;
  // The bodies of the events in flight, by key; and the types that the console was told of.
  const known = {};
  let store = {};
  let session;
  let visit;
  let seen;

  const guard = (work) => (...args) => {
    try {
      return data.tenant > 0 && work(...args);
    } catch {}
  };

  // A key is beaconlog:<ms since 1970><event_id>; its value is the body with its endpoint.
  // Sends what waits as one batch, the newest events first, one per line.
  const flush = async () => {
    let batch = [];
    let body = "";
    try {
      batch = Object.keys(store)
        .filter((key) => /^beaconlog:/.test(key))
        .sort()
        .reverse()
        .filter((key, place) =>
          place > 49 || key < "beaconlog:" + (new Date() - 8e7)
            ? !delete store[key]
            : !known[key] && (body += (known[key] = store[key]) + "\n")
        );
      if (body)
        (
          await (
            await fetch(new URL("api/v1/analytics/batch", script.src), {
              method: "post",
              body,
              // A browser refuses keepalive requests above 64 KiB; a character is up to 3 bytes.
              keepalive: !body[2e4],
            })
          ).json()
        ).results.map((result, place) => {
          const key = batch[place];
          const type = JSON.parse(known[key]).type;
          result.retryable || delete store[key];
          // A reason that begins so says that the type does not exist.
          if (data.debug >= "" || (/^type/.test(result.reason) && !known[type]))
            known[type] = !console.warn("beaconlog:", known[key], result);
        });
    } catch {}
    batch.map((key) => delete known[key]);
  };

  // Returns the event_id, for a sale that this event may lead to.
  const track = guard(
    (type, event, endpoint = /k$|^v/.test(type) ? "interactions" : "track") => {
      // The URL of a blob ends in a new UUID; pages without TLS have no crypto.randomUUID.
      const event_id = URL.createObjectURL(new Blob()).slice(-36);
      const key = "beaconlog:" + +new Date() + event_id;
      const body = JSON.stringify({
        endpoint,
        tenant_id: data.tenant,
        tenant_slug: data.slug,
        type,
        event_id,
        timestamp: new Date(),
        context: visit,
        ...event,
      });
      try {
        store[key] = body;
      } catch {}
      // A storage may also be null, or drop what it is given.
      store?.[key] || (store = { [key]: body });
      flush();
      return event_id;
    }
  );

  // Handles any event of the browser: sends a view if the URL has changed, then a click's event.
  const listen = guard(({ target, button } = {}) => {
    const { pathname, search, host } = location;
    const before = seen;
    if (before != (seen = pathname + search)) {
      const [, , from] = document.referrer.split("/");
      visit = {
        ...(!visit || /utm_|cl.?id=/.test(search)
          ? // Cut to the collector's limit, which would otherwise reject every event of the visit.
            { referrer: from == host ? "" : from, query: search.slice(0, 8e3) }
          : visit),
        path: pathname,
      };
      // data-product is the product of the loaded page, not of pages that replace it by script:
      // then `before` is a path, and no number.
      track("view", { product_id: +(before || data.product) });
    }
    if (button < 2)
      // The nearest element with a type decides, so that a click counts once.
      for (let type; target && !type; target = target.parentElement) {
        const { href, dataset, search } = target;
        const chat = /^whatsapp:|\/\/(wa.me|api.whatsapp.com)\//.test(href);
        type =
          dataset.beacon ||
          (chat
            ? "whatsapp_click"
            : /^tel:/.test(href)
            ? "call_click"
            : /^geo:|\/\/(w+.)?((maps|waze)\.|goo(gle)?\.[a-z.]+\/maps)/.test(href) &&
              "maps_click");
        if (type) {
          const ref = track(type, { product_id: +dataset.product }).slice(-10);
          const words = dataset.ref ?? data.ref;
          if (chat && session && words) {
            // A later click replaces the reference of an earlier one.
            const replaced = search.replace(target.ref, (target.ref = ref));
            target.search =
              replaced == search
                ? search.replace(
                    /[?&]text=[^&]*|$/,
                    (text) => (text ? text + " " : "&text=") + words.replace("{ref}", ref)
                  )
                : replaced;
          }
        }
      }
    flush();
    // Last, because it may throw.
    session.beaconlog = JSON.stringify(visit);
  });

  // Doubles the wait; above 100 s it starts again from a short wait.
  const tick = (wait_ms) => {
    listen();
    setTimeout(tick, wait_ms, (2 * wait_ms) % 1e5);
  };

  self.beacon = {
    track,
    conversion: (details) => track(details?.type, details, "conversion"),
  };
  guard(() => {
    self.navigation?.addEventListener("currententrychange", listen);
    for (const name of ["click", "auxclick", "online", "visibilitychange"])
      addEventListener(name, listen, true);
    if (!navigator.globalPrivacyControl) {
      session = sessionStorage;
      store = localStorage;
      visit = JSON.parse(session.beaconlog);
    }
  })();
  tick(1e3);
})();
