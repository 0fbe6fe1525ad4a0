// Metrics with their intervals; a confusion matrix whose cells open their items; a threshold; classes; another report.
const STEPS = 100, HEAD = ["item", "true", "predicted", "probability", "loss"];

// Each part is made anew only when what it shows is another: a slider stays under the hand, focus where it was.
const parts = (box, picture, made) => {
  const kept = (box.parts ??= {});
  for (const [name, key, make] of made) {
    kept[name] ??= { node: el("div", { class: `nbt-part nbt-${name}` }) };
    if (kept[name].key !== key) kept[name].node.replaceChildren(...make());
    kept[name].key = key;
  }
  const nodes = made.map(([name]) => kept[name].node);
  if (nodes.length !== picture.children.length || nodes.some((node, at) => node !== picture.children[at]))
    picture.replaceChildren(...nodes);
};

const bar = (ends, other, from) => {
  const at = (share) => 5 + (120 * (share - from)) / (1 - from);
  return svg("svg", { width: 130, height: 16, viewBox: "0 0 130 16", "aria-hidden": "true" },
    svg("line", { class: "nbt-axis", x1: 5, x2: 125, y1: 8, y2: 8 }),
    ...[[ends, other ? 5 : 8, "nbt-first"], [other, 11, "nbt-other"]].filter(([one]) => one).flatMap(([[value, low, high], y, name]) => [
      svg("line", { class: `nbt-span ${name}`, x1: at(low), x2: at(high), y1: y, y2: y }),
      svg("circle", { class: `nbt-point ${name}`, cx: at(value), cy: y, r: 3.5 })]));
};

const metrics = ({ metrics, compared }) => {
  const lows = metrics.flatMap(([, , ends, , other]) => [ends?.[1], other?.[1]]).filter((low) => low !== undefined);
  const from = lows.length ? Math.max(0, Math.floor(10 * Math.min(...lows)) / 10) : 0; // so that intervals can be told apart
  return [grid(`Metrics with their 95 % intervals${compared ? ": first ●, other ○" : ""}`,
    ["metric", compared ? "first" : "value", ...(compared ? ["other", "first − other"] : []), ...(lows.length ? [`from ${from} to 1`] : [])],
    metrics.map(([name, text, ends, otherText, other]) => [name.replace("_", " "), text, ...(compared ? [otherText ?? "", compared.differences[name] ?? ""] : []),
      ...(lows.length ? [ends ? bar(ends, other, from) : ""] : [])])),
  ...(compared ? [el("p", { class: "nbt-compared" }, el("b", { text: "Paired test: " }), compared.said, " ", el("code", { text: compared.code }))] : [])];
};

const share = (row, count) => Math.sqrt(count / Math.max(1, row.reduce((sum, one) => sum + one, 0)));

const opener = (model, facts, t, p, count) => el("button", { type: "button", tabindex: -1,
  class: `nbt-cell ${t === p ? "nbt-right" : "nbt-wrong"}`, text: count.toLocaleString("en"), "data-key": `cell-${t}-${p}`, "data-at": `${t},${p}`,
  style: facts.matrix.length ? `--share: ${Math.round(100 * share(facts.matrix[t], count))}%` : undefined,
  "aria-label": `${count} of ${facts.vocab[t]} read as ${facts.vocab[p]}`, title: `${facts.vocab[t]} read as ${facts.vocab[p]}`,
  onclick: () => ask(model, "cell", t, p) });

// Arrow keys go to the next cell that has items, in a straight line or, failing that, in the next rows.
const roam = (event, node) => {
  const all = [...event.currentTarget.querySelectorAll(".nbt-cell")], place = (one) => one.closest("td").cellIndex;
  const line = (one) => one.closest("tr").rowIndex, [row, column] = [line(node), place(node)];
  const near = (list, far) => list.sort((a, b) => far(a) - far(b))[0];
  const beside = (sign) => near(all.filter((one) => line(one) === row && sign * (place(one) - column) > 0), (one) => sign * place(one));
  const over = (sign) => near(all.filter((one) => sign * (line(one) - row) > 0), (one) => sign * line(one) * 1e4 + Math.abs(place(one) - column));
  return { ArrowLeft: () => beside(-1), ArrowRight: () => beside(1), ArrowUp: () => over(-1), ArrowDown: () => over(1),
    Home: () => all[0], End: () => all[all.length - 1] }[event.key]?.();
};

const byIndex = (vocab) => vocab.map((name, at) => [at, name]);

const any = (model, facts) => {
  const [t, p] = ["true", "predicted"].map((name, at) => choice(at ? "read as" : "Open", `any-${name}`, byIndex(facts.vocab), 0, () => {}));
  const value = (one) => Number(one.querySelector("select").value);
  return el("div", { class: "nbt-choices" }, t, p, button(model, "Show", () => ask(model, "cell", value(t), value(p)), { always: true }));
};

const matrix = (model, facts) => {
  const { vocab, pairs } = facts, small = facts.matrix.length;
  const caption = small ? "Confusion matrix: rows are true, columns predicted. A cell opens its items."
    : `${pairs.length ? `The ${pairs.length} most frequent` : "No"} confusions of ${vocab.length.toLocaleString("en")} classes. A count opens its items.`;
  const made = small
    ? grid(caption, ["true", ...vocab], facts.matrix.map((row, t) =>
      [vocab[t], ...row.map((count, p) => (count ? opener(model, facts, t, p, count) : el("span", { class: "nbt-none", text: "·" })))]), { kind: "nbt-confusion" })
    : grid(caption, ["true", "predicted", "items"], pairs.map(([t, p, count]) => [vocab[t], vocab[p], opener(model, facts, t, p, count)]));
  made.removeAttribute("tabindex"); // its cells take the focus
  if (!made.querySelector(".nbt-cell")) made.tabIndex = 0;
  const only = (node) => made.querySelectorAll(".nbt-cell").forEach((one) => { one.tabIndex = one === node ? 0 : -1; });
  made.addEventListener("keydown", (event) => {
    const to = event.target.matches(".nbt-cell") && roam(event, event.target);
    if (to) { event.preventDefault(); to.focus(); }
  });
  made.addEventListener("focusin", (event) => { if (event.target.matches(".nbt-cell")) only(event.target); });
  only(made.querySelector(".nbt-cell"));
  return small ? [made] : [made, any(model, facts)];
};

const items = (model, { what, count, page, pages, rows, tiles }) => {
  const turn = (word, to) => button(model, word, "page", { values: [to], always: true, off: to < 1 || to > pages ? "There is no such page." : "" });
  const tileOf = ([item, t, p, said], at) => el("li", { title: `item ${item}: ${t} read as ${p}, p = ${said}` },
    tiles[at].src ? el("img", { src: tiles[at].src, alt: `Item ${item}` })
      : el("span", { class: "nbt-hint", text: "cannot be drawn", title: tiles[at].cannot }),
    el("span", {}, t === p ? t : `${t} → ${p}`), el("span", { class: "nbt-hint", text: `p ${said}` }));
  return [el("div", { class: "nbt-what" }, el("b", { text: what }), el("span", { class: "nbt-hint", text: count })),
    ...(!rows.length ? [el("p", { text: "No item." })]
      : tiles ? [el("ul", { class: "nbt-items", tabindex: 0, "aria-label": what, "data-key": "items" }, ...rows.map(tileOf))]
        : [grid("The items", HEAD, rows, { label: what })]),
    ...(pages > 1 ? [el("div", { class: "nbt-choices" }, turn("Previous", page - 1), el("span", { text: `page ${page} of ${pages}` }), turn("Next", page + 1))] : []),
    ...(rows.length && tiles ? [folded("These items as table", [`${what}, page ${page}`, HEAD, rows])] : [])];
};

// Precision (solid) and recall (dashed) over the threshold, drawn from the curve: no question to the kernel.
const WIDE = 420, HIGH = 130, X = (at) => 30 + (WIDE - 40) * at, Y = (share) => 8 + (HIGH - 28) * (1 - share);
// Where nothing is called so there is no precision, and nothing is drawn.
const known = (rows, which, end) => rows.flatMap((row, at) => (row[which] ? [[X(at / STEPS), Y(row[which][end])]] : []));
const shares = (rows, which, kind) => [
  svg("polygon", { class: `nbt-band ${kind}`, points: path([...known(rows, which, 1), ...known(rows, which, 2).reverse()]) }),
  svg("polyline", { class: `nbt-curve ${kind}`, points: path(known(rows, which, 0)) })];

const threshold = (model, facts, curve, box) => {
  const rows = curve.rows, chosen = facts.vocab.indexOf(curve.name);
  const said = el("p", { class: "nbt-at" }), mark = svg("g"), output = el("span", { class: "nbt-value" });
  const slider = el("input", { type: "range", min: 0, max: 1, step: 1 / STEPS, "data-key": "threshold", "aria-label": "Threshold" });
  const put = (at) => {
    const row = rows[Math.round(at * STEPS)], x = X(at);
    slider.value = at;
    output.textContent = Number(at).toFixed(2);
    slider.setAttribute("aria-valuetext", `${Number(at).toFixed(2)}: precision ${row[4]}, recall ${row[5]}`);
    said.textContent = row[6];
    mark.replaceChildren(svg("line", { class: "nbt-mark-line", x1: x, x2: x, y1: 4, y2: HIGH - 20 }),
      ...(row[0] ? [svg("circle", { class: "nbt-dot", cx: x, cy: Y(row[0][0]), r: 4 })] : []),
      ...(row[1] ? [svg("rect", { class: "nbt-square", x: x - 4, y: Y(row[1][0]) - 4, width: 8, height: 8 })] : []));
  };
  let mine = []; // what was asked for here: answers to it come late, and must not turn the slider back
  const tell = () => {
    clearTimeout(box.later);
    box.later = 0;
    mine.push(Number(slider.value));
    ask(model, "threshold", chosen, mine.at(-1));
  };
  slider.addEventListener("input", () => { put(Number(slider.value)); clearTimeout(box.later); box.later = setTimeout(tell, 120); });
  slider.addEventListener("change", () => { if (box.later) tell(); });
  box.put = (at) => {
    if (mine.at(-1) === at) mine = [at];
    else if (!box.later && !mine.includes(at)) { mine = []; put(at); }
  };
  return [el("div", { class: "nbt-what" }, el("b", { text: "One class against the rest" }), el("span", { class: "nbt-hint",
    text: "An item is called so from this probability on. A threshold chosen by this chart is flattered by it." })),
  el("div", { class: "nbt-choices" }, choice("Class", "class", byIndex(facts.vocab), chosen, (at) => ask(model, "threshold", Number(at), Number(slider.value))),
    el("label", {}, "Threshold ", slider), output),
  pictureOf(WIDE, HIGH, { "aria-label": `Precision (solid) and recall (dashed) of ${curve.name} over the threshold, with 95 % intervals` },
    ...across([0, 0.5, 1], Y, X(0), X(1)), ...[0, 0.25, 0.5, 0.75, 1].map((at) => label(X(at), HIGH - 4, at, "middle")),
    ...shares(rows, 0, ""), ...shares(rows, 1, "nbt-dashed"), mark),
  el("p", { class: "nbt-hint" }, el("b", { class: "nbt-cold", text: "— ● precision" }), ": of what is called so, the share that is. ",
    el("b", { class: "nbt-warm", text: "- - ■ recall" }), ": of what is so, the share that is called."),
  said, folded("Thresholds as table", [`Thresholds on ${curve.name}`, ["from", "precision", "recall", "wrongly called", "missed"],
    rows.filter((_, at) => at % 5 === 0).map((row, at) => [(at / 20).toFixed(2), row[4], row[5], row[2], row[3]])])];
};

export default panel("evaluate", "Evaluation", (model, { picture, buttons, view, box }) => {
  const facts = model.get("facts"), listed = model.get("listed"), curve = model.get("curve"), drawn = view.open && facts.vocab;
  box.setAttribute("aria-label", view.title);
  buttons.replaceChildren(
    ...(drawn ? [button(model, "Worst errors", "worst", { always: true })] : []),
    ...(view.asks ? [button(model, "Evaluate (counts a look)", "evaluate", { primary: !facts.metrics })] : []));
  parts(box, picture, !facts.metrics ? [] : [["metrics", facts, () => metrics(facts)], ...(!drawn ? [] : [
    ["matrix", facts, () => matrix(model, facts)], ["listed", listed, () => items(model, listed)],
    ["threshold", curve, () => threshold(model, facts, curve, box)],
    ["classes", facts, () => [folded("Each class", ["Classes", ["class", "precision", "recall", "F1", "items", "predicted"], facts.classes])]]])]);
  if (!drawn) return;
  const open = view.open.join();
  picture.querySelectorAll(".nbt-cell").forEach((node) => node.setAttribute("aria-pressed", String(node.dataset.at === open)));
  box.put(view.threshold.at);
});
