// Create elements of HTML and SVG, and change those of the page into others.

const SVG = "http://www.w3.org/2000/svg";

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => ![null, undefined, false].includes(child)));
  return node;
};

/** Return an HTML element without the attributes and children that are null, undefined or false. */
export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

/** Return an SVG element, with the arguments of element(). */
export const shape = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

export const button = (text, onClick) => {
  const node = element("button", { type: "button" }, text);
  node.addEventListener("click", onClick);
  return node;
};

const keyOf = (node) => node.dataset?.key;

const isAlike = (node, wanted) =>
  node.nodeType === wanted.nodeType &&
  node.nodeName === wanted.nodeName &&
  node.className?.baseVal === wanted.className?.baseVal &&
  keyOf(node) === keyOf(wanted);

const copyAttributes = (node, wanted) => {
  for (const { name } of [...node.attributes])
    if (name !== "open" && !wanted.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of wanted.attributes)
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
};

const change = (node, wanted) => {
  if (node.nodeType === Node.TEXT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  copyAttributes(node, wanted);
  update(node, ...wanted.childNodes);
};

/** Put a child in front of another, or last for null; it keeps the focus if the browser can do it. */
const move = (node, child, place) =>
  (node.moveBefore ?? node.insertBefore).call(node, child, place);

/** Remove the children whose key no wanted child has, and return the others by their keys. */
const keptByKey = (node, wanted) => {
  const keys = new Set(wanted.map(keyOf));
  const kept = new Map();
  for (const child of [...node.children].filter(keyOf)) {
    if (keys.has(keyOf(child))) kept.set(keyOf(child), child);
    else child.remove();
  }
  return kept;
};

/**
 * Give a node these children. Children that are already alike stay in the page and only change what
 * differs, so that nothing flickers and the focus stays; listeners of the new children are lost.
 * A child with a `data-key` follows its key to another place.
 */
export const update = (node, ...children) => {
  const wanted = children.map((child) =>
    child instanceof Node ? child : document.createTextNode(child),
  );
  const kept = keptByKey(node, wanted);
  wanted.forEach((child, index) => {
    const place = node.childNodes[index] ?? null;
    const present = keyOf(child) ? kept.get(keyOf(child)) : place;
    kept.delete(keyOf(child));
    if (!present || (present === place && keyOf(place) !== keyOf(child)))
      node.insertBefore(child, place);
    else if (!isAlike(present, child)) present.replaceWith(child);
    else {
      if (present !== place) move(node, present, place);
      change(present, child);
    }
  });
  while (node.childNodes.length > wanted.length) node.lastChild.remove();
};
