// Stand-ins for what Shopify gives a custom pixel, and one visitor's way through the shop.
//
// node shopify.js PIXEL
const { readFileSync } = require("node:fs");

const handlers = {};
const kept = {};
globalThis.analytics = { subscribe: (name, handler) => (handlers[name] = handler) };
globalThis.browser = {
  sessionStorage: {
    getItem: async (name) => kept[name] ?? null,
    setItem: async (name, text) => void (kept[name] = text),
  },
};
new Function(readFileSync(process.argv[2], "utf8"))();

const HOST = "shop.example";

function happened(name, path, search, referrer, data = {}) {
  const location = { host: HOST, pathname: path, search };
  return handlers[name]({
    id: "sh-1",
    timestamp: new Date().toISOString(),
    context: { document: { location, referrer } },
    data,
  });
}

(async () => {
  const product = { id: "gid://shopify/Product/101" };
  const within = `https://${HOST}/`;
  await happened("page_viewed", "/", "?utm_source=volante", "https://red.example/p");
  await happened("page_viewed", "/products/miel", "", within);
  await happened("product_viewed", "/products/miel", "?variant=1", within, { productVariant: { product } });
  const cartLine = { merchandise: { product } };
  await happened("product_added_to_cart", "/products/miel", "", within, { cartLine });
  const checkout = {
    order: { id: "5551" },
    totalPrice: { amount: 280.5 },
    currencyCode: "HNL",
  };
  await happened("checkout_completed", "/checkouts/1/thank-you", "", within, { checkout });
})();
