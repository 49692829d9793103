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

const isAlike = (node, wanted) =>
  node.nodeType === wanted.nodeType &&
  node.nodeName === wanted.nodeName &&
  node.className?.baseVal === wanted.className?.baseVal &&
  node.dataset?.key === wanted.dataset?.key;

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

/**
 * Give a node these children. Children that are already alike stay in the page and only change what
 * differs, so that nothing flickers and the focus stays; listeners of the new children are lost.
 */
export const update = (node, ...children) => {
  const wanted = children.map((child) =>
    child instanceof Node ? child : document.createTextNode(child),
  );
  const old = [...node.childNodes];
  wanted.forEach((child, index) => {
    const present = old[index];
    if (!present) node.append(child);
    else if (isAlike(present, child)) change(present, child);
    else present.replaceWith(child);
  });
  for (const rest of old.slice(wanted.length)) rest.remove();
};
