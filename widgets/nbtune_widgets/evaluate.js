// Metrics; a confusion matrix whose cells open their items; a threshold; classes; another report.
const grid = (caption, head, rows) => el("div", { class: "nbt-scroll", tabindex: 0, role: "region", "aria-label": caption },
  el("table", {}, el("caption", { text: caption }),
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell, at) =>
      el(at ? "td" : "th", at ? {} : { scope: "row" }, cell)))))));

const share = (view, t, count) => Math.sqrt(count / Math.max(1, view.matrix[t].reduce((sum, one) => sum + one, 0)));

const opener = (model, view, true_, predicted, count) => {
  const names = [view.vocab[true_], view.vocab[predicted]];
  return el("button", { type: "button", class: `nbt-cell ${true_ === predicted ? "nbt-right" : "nbt-wrong"}`,
    style: view.matrix.length ? `--share: ${Math.round(35 * share(view, true_, count))}%` : "", text: String(count), "data-key": `cell-${true_}-${predicted}`,
    "aria-label": `${count} of ${names[0]} read as ${names[1]}`, title: `${names[0]} read as ${names[1]}`,
    "aria-pressed": String(view.open[0] === names[0] && view.open[1] === names[1]),
    onclick: () => ask(model, "cell", true_, predicted) });
};

const matrix = (model, view) => view.matrix.length
  ? grid("Confusion matrix: rows are true, columns predicted; a cell opens its items", ["true \\ predicted", ...view.vocab],
    view.matrix.map((row, t) => [view.vocab[t], ...row.map((count, p) => (count ? opener(model, view, t, p, count) : "·"))]))
  : grid(`Most frequent confusions of ${view.vocab.length} classes; a count opens its items`, ["true", "predicted", "items"],
    view.pairs.map(([t, p, count]) => [view.vocab[t], view.vocab[p], opener(model, view, t, p, count)]));

const listed = ({ what, rows, pixels }) => grid(what, [...(pixels ? ["image"] : []), "item", "true", "predicted",
  "probability", "loss"], rows.map((row, at) => (pixels
  ? [el("img", { src: `data:image/png;base64,${pixels[at]}`, alt: `item ${row[0]}`, width: 32, height: 32 }), ...row] : row)));

const threshold = (model, view) => {
  const { at, said, rows } = view.threshold, chosen = view.threshold.class;
  const names = el("select", { "data-key": "class", onchange: (event) => ask(model, "threshold", Number(event.target.value), at) },
    ...view.vocab.map((text, index) => el("option", { value: index, text, ...(index === chosen ? { selected: "" } : {}) })));
  const slider = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: at, "data-key": "threshold",
    oninput: (event) => ask(model, "threshold", chosen, Number(event.target.value)) });
  return el("div", { class: "nbt-choices" }, el("label", {}, "Against the rest: ", names),
    el("label", {}, ` called so from a probability of ${at.toFixed(2)}: `, slider), el("p", { text: said }),
    table("Thresholds", ["from", "precision", "recall", "wrongly called", "missed"], rows));
};

export default panel("evaluation", "Evaluation", (model, { picture, buttons, view }) => {
  buttons.replaceChildren(
    ...(view.asks ? [button(model, "Evaluate (counts a look)", "evaluate", { primary: !view.vocab })] : []),
    ...(view.vocab ? [button(model, "Worst errors", "worst")] : []));
  if (!view.vocab) return picture.replaceChildren();
  const compared = view.compared;
  picture.replaceChildren(
    grid("Metrics with their 95 % intervals", ["metric", "value"], view.metrics),
    ...(compared ? [el("p", { text: compared.said }), grid(compared.code, ["metric", "first", "other"], compared.rows)] : []),
    matrix(model, view), listed(view.listed), threshold(model, view),
    table("Classes", ["class", "precision", "recall", "F1", "items", "predicted"], view.classes));
});
