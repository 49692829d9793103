/*
 * The tracker: sends the events of a shop's page to the server that this script was loaded from.
 *
 *   <script defer src="https://stats.example/beacon.js" data-tenant="42" data-slug="la-colmena"></script>
 *
 * Invariants:
 * - The tracker never disturbs the page: no error leaves it, even if a part of the browser is
 *   missing, forbidden or broken.
 * - An event gets its event_id when it is created, and is stored until its result in the response
 *   is not `retryable`. Until then it is sent again. The server may have counted it before, but it
 *   counts an id once within 24 hours; so an event is dropped earlier.
 * - Events are stored in localStorage, the latest 50, one entry per event. Under Global Privacy
 *   Control, or if the browser forbids localStorage, they are stored in memory.
 * - A visit lasts as long as its tab. Every event of the visit has its source: the tag (utm_source)
 *   of the page where it began, and the site that linked there. A new tag replaces both. They are
 *   stored in sessionStorage, with the same exceptions. A return from another site, such as that of
 *   a payment, changes nothing.
 * - A request needs no preflight, sends no credentials to another origin, and may outlive its page
 *   (keepalive). Stored events are sent when the page is hidden; if that fails, the next page sends
 *   them. Not sendBeacon, which does not report whether an event has arrived.
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

  const guard = (work) => (...args) => {
    try {
      if (tenant > 0) work(...args);
    } catch {}
  };

  // A key is beaconlog:<ms since 1970>:<path of the endpoint>:<event_id>; its value is the body.
  // Sends what waits as one batch, the newest events first, one per line.
  const flush = async () => {
    const batch = [];
    let body = "";
    try {
      Object.keys(store)
        .sort()
        .reverse()
        .filter((key) => /^beaconlog:/.test(key))
        .forEach((key, place) => {
          const [, at, path] = key.split(":");
          if (place > 49 || at < new Date() - 8e7) delete store[key];
          // A browser refuses keepalive requests above 64 KiB; a character is up to 3 bytes.
          else if (!sending[key] && (!body || (body + store[key]).length < 2e4)) {
            sending[key] = batch.push(key);
            body += `{"endpoint":"${path.replace(/.*\//, "")}",${store[key].slice(1)}\n`;
          }
        });
      if (body)
        (
          await (
            await fetch(new URL("api/v1/analytics/batch", src), { keepalive: 1, method: "POST", body })
          ).json()
        ).results.forEach(({ retryable }, place) => retryable || delete store[batch[place]]);
    } catch {}
    batch.forEach((key) => delete sending[key]);
  };

  const post = guard((path, event) => {
    // The URL of a blob ends in a new UUID; pages without TLS have no crypto.randomUUID.
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

  const track = guard((type, details) =>
    post(/^view|_click/.test(type) ? "interactions" : "analytics/track", { type, ...details })
  );

  // Handles any event of the browser: sends a view if the URL has changed, then a click's event.
  const listen = guard(({ target, button } = {}) => {
    const { pathname, search, searchParams, host } = new URL(location);
    if (seen != (seen = pathname + search)) {
      const [, , from] = document.referrer.split("/");
      // Cut to the collector's limit, which would otherwise reject every event of the visit.
      const [source] = /[^\0]{1,255}/u.exec(searchParams.get("utm_source") || "") || [];
      if (source || !visit) {
        visit = { source, referrer: from == host ? undefined : from };
        guard(() => (session.beaconlog = JSON.stringify(visit)))();
      }
      track("view", {
        product_id: +product,
        metadata: { path: pathname },
      });
      // data-product is the product of the loaded page, not of pages that replace it by script.
      product = {};
    }
    if (button < 2)
      // The nearest element with a type decides, so that a click counts once.
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

  // Doubles the wait; above 100 s it starts again from a short wait.
  const tick = (wait_ms) => {
    listen();
    setTimeout(tick, wait_ms, (2 * wait_ms) % 1e5);
  };

  self.beacon = {
    track,
    conversion: (details) => post("analytics/conversion", details),
  };
  guard(() => {
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function (...args) {
        setTimeout(listen);
        return original.apply(this, args);
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
