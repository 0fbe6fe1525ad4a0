// What the pictures of several panels are made of: choices, tables, axes and lines.

// A choice among words, or among [value, word] pairs; `act` gets the value as text.
const choice = (label, key, options, value, act, { off = false } = {}) => el("label", { text: `${label} ` },
  el("select", { "data-key": key, onchange: (event) => act(event.target.value), disabled: off ? "" : undefined },
    ...options.map((option) => [option].flat()).map(([word, text = word]) =>
      el("option", { value: word, text, selected: String(word) === String(value) ? "" : undefined }))));

// A row of a table: its first cell is its head; a cell is a text or a node.
const lineOf = (row) => el("tr", {}, ...row.map((cell, at) => el(at ? "td" : "th", at ? {} : { scope: "row" }, cell)));

// A table that is scrolled where it has no room.
const grid = (caption, head, rows, { label = caption, kind = "", key = label } = {}) =>
  el("div", { class: `nbt-scroll ${kind}`, tabindex: 0, role: "group", "aria-label": label, "data-key": key },
    el("table", {}, el("caption", { text: caption }),
      el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text, title: text })))),
      el("tbody", {}, ...rows.map(lineOf))));

// What the pictures show, as tables [caption, head, rows], behind a word: made when somebody opens them. `rows` may be a function.
const folded = (word, ...parts) => {
  const node = el("details", { class: "nbt-table" }, el("summary", { text: word, "data-key": `table-${word}` }));
  node.fill = () => {
    if (node.children.length > 1) return;
    node.append(...parts.map(([caption, head, rows], at) =>
      grid(caption, head, typeof rows === "function" ? rows() : rows, { key: `rows-${word}-${at}` })));
  };
  node.addEventListener("toggle", () => { if (node.open) node.fill(); });
  return node;
};
const tables = (...parts) => folded("As table", ...parts);

// Round numbers from low to high, about `count`.
const ticks = (low, high, count) => {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999), found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at += 1) found.push(at * step);
  return found;
};

const three = (value) => (Math.abs(value) >= 1e-3 || value === 0 ? String(Number(value.toPrecision(3))) : value.toExponential(1));

// A rate as it is written: 3e-3.
const rate = (value) => value.toExponential(1).replace(".0e", "e").replace("e+", "e");
const ratesOf = (pairs, most = 8) => (pairs.length > most
  ? `${pairs.length} groups from ${pairs[0][0]} ${rate(pairs[0][1])} to ${pairs.at(-1)[0]} ${rate(pairs.at(-1)[1])}`
  : pairs.map(([name, value]) => `${name} ${rate(value)}`).join(" · "));

const label = (x, y, text, anchor = "start", props = {}) => svg("text", { x, y, text, "text-anchor": anchor, ...props });

// Lines across at these round numbers, which stand on the left.
const across = (values, y, left, right) => values.flatMap((value) => [
  svg("line", { class: "nbt-grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
  label(left - 6, y(value) + 4, String(Number(value.toPrecision(6))), "end")]);

// Points [x, y] in px, as a polyline or polygon takes them.
const path = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

const pictureOf = (wide, high, props, ...children) =>
  svg("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: "img", ...props }, ...children);
