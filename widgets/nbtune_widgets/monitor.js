// Losses, one metric or the rate, and what was still, over all epochs trained.
const LEFT = 46, TOP = 34, TALL = 190, STRIP = 26, LOW = 96, GAP = 30; // px
const HIGH = TOP + TALL + 8 + STRIP + GAP + LOW + 22;

// Bytes of float32 as rows of `width` numbers.
const unpack = (view, width) => {
  if (!view?.byteLength) return [];
  const flat = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)), rows = [];
  for (let at = 0; at + width <= flat.length; at += width) rows.push(flat.subarray(at, at + width));
  return rows;
};

// Limits that leave a few wild batches out, so that they do not flatten all the rest.
const limits = (always, mostly) => {
  const sorted = mostly.filter(Number.isFinite).sort((a, b) => a - b), sure = always.filter(Number.isFinite);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const all = [...sure, ...(sorted.length ? [at(0.01), at(0.99)] : [])];
  if (!all.length) return [0, 1];
  const low = Math.min(...all), high = Math.max(...all), room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
};

// Pieces of a line: it is broken where a number is missing and where all weights were drawn anew.
const pieces = (rows, of, breaks) => {
  const found = [];
  let piece = [];
  rows.forEach((row, at) => {
    const broken = at && breaks.some((x) => rows[at - 1][0] <= x && x < row[0]);
    if (!Number.isFinite(row[of]) || broken) { if (piece.length) found.push(piece); piece = []; }
    if (Number.isFinite(row[of])) piece.push([row[0], row[of]]);
  });
  return piece.length ? [...found, piece] : found;
};

const lines = (rows, of, kind, x, y, breaks, dots) => pieces(rows, of, breaks).flatMap((piece) => [
  svg("polyline", { class: kind === "batches" ? "nbt-batches" : `nbt-line-${kind}`,
    points: path(piece.map(([at, value]) => [x(at), y(value)])) }),
  ...(dots && piece.length <= 40 ? piece.map(([at, value]) => svg("circle", { class: `nbt-${kind}`, cx: x(at), cy: y(value), r: 2.5 })) : [])]);

// What was still under the axis: the share of groups below the ice line, hatched and ❄; what trained above, ▲.
const strip = (view, x, end, top) => view.phases.flatMap((phase, at) => {
  const next = view.phases[at + 1]?.begin ?? Math.max(end, phase.begin);
  const from = x(phase.begin), wide = Math.max(1, x(next) - from), cold = STRIP * phase.still, hatch = [];
  for (let step = 7; step < wide && step < 1500 && cold > 2; step += 7)
    hatch.push(`M${from + step},${top + STRIP} l${Math.min(cold, wide - step)},${-Math.min(cold, wide - step)}`);
  const word = (mark, y, kind) => label(from + 4, y, mark, "start", { class: `nbt-strip-word nbt-${kind}` });
  return [svg("g", {}, svg("title", { text: phase.told }),
    svg("rect", { class: "nbt-strip-live", x: from, y: top, width: wide, height: STRIP }),
    ...(cold ? [svg("rect", { class: "nbt-strip-still", x: from, y: top + STRIP - cold, width: wide, height: cold }),
      svg("path", { class: "nbt-strip-hatch", d: hatch.join(" "), fill: "none" })] : []),
    ...(wide > 16 && STRIP - cold >= 11 ? [word("▲", top + 10, "train")] : []),
    ...(wide > 16 && cold >= 11 ? [word("❄", top + STRIP - 3, "valid")] : []))];
});

// The name of each phase above its beginning, as far as there is room; a line where it begins.
const marks = (view, x, end) => view.phases.flatMap((phase, at) => {
  const room = (x(view.phases[at + 1]?.begin ?? Math.max(end, phase.begin + phase.epochs)) - x(phase.begin)) / 6.3;
  const text = `${phase.fresh && at ? "anew · " : ""}phase ${phase.number} · ${phase.label}`;
  const shown = room >= text.length ? text : room > 12 ? `${text.slice(0, Math.floor(room) - 1)}…` : room > 3 ? String(phase.number) : "";
  return [...(at ? [svg("line", { class: `nbt-phase-line ${phase.fresh ? "nbt-fresh" : ""}`, x1: x(phase.begin), x2: x(phase.begin),
    y1: TOP - 14, y2: TOP + TALL + 8 + STRIP })] : []),
  svg("g", {}, svg("title", { text: phase.told }), label(x(phase.begin) + 4, TOP - 18, shown))];
});

// Names at the ends of the lines, kept apart.
const names = (found, right) => {
  const placed = found.filter((one) => Number.isFinite(one.y)).sort((a, b) => a.y - b.y);
  placed.forEach((one, at) => { if (at) one.y = Math.max(one.y, placed[at - 1].y + 14); });
  return placed.map((one) => label(right + 8, one.y + 4, one.text, "start", { class: `nbt-${one.kind}` }));
};

const drawAll = (model, view, live, epochs, wide, chosen) => {
  const points = unpack(model.get("points"), 5);
  const beside = wide >= 520 ? 142 : 8, right = wide - beside;
  const last = Math.max(points.at(-1)?.[0] ?? 0, epochs.at(-1)?.[0] ?? 0), phase = view.phases.at(-1);
  const end = Math.max(last, phase && view.state !== "idle" ? phase.begin + phase.epochs : 0, 1);
  const x = (at) => LEFT + ((right - LEFT) * at) / end;
  const breaks = view.phases.filter((one) => one.fresh && one.begin > 0).map((one) => one.begin);
  const scale = live.log ? (loss) => Math.log10(Math.max(loss, 1e-12)) : (loss) => loss;
  const [low, high] = limits(epochs.flatMap((row) => [row[1], row[2]]).map(scale), points.map((row) => scale(row[1])));
  const y = (loss) => TOP + TALL - (TALL * (Math.min(high, Math.max(low, scale(loss))) - low)) / (high - low);
  const round = live.log ? ticks(low, high, 4).filter(Number.isInteger).map((power) => 10 ** power) : ticks(low, high, 4);
  const train = epochs.at(-1)?.[1] ?? points.at(-1)?.[1], valid = epochs.at(-1)?.[2];
  const best = live.best && `best ${three(live.best[1])}`;
  const spread = points.some((row) => row[3] > row[2]) ? pieces(points, 1, breaks).length === 1 && svg("polygon", { class: "nbt-spread",
    points: path([...points.map((row) => [x(row[0]), y(row[3])]), ...[...points].reverse().map((row) => [x(row[0]), y(row[2])])]) }) : null;
  const floor = TOP + TALL + 8 + STRIP + GAP;
  const byRate = chosen === "learning rate", column = 3 + view.metrics.indexOf(chosen);
  const lower = byRate ? points : epochs, of = byRate ? 4 : column;
  const [least, most] = limits(lower.map((row) => row[of]), []);
  const z = (value) => floor + LOW - (LOW * (value - least)) / (most - least);
  const now = lower.at(-1)?.[of];
  return pictureOf(wide, HIGH, { "data-last": last, "data-points": points.length, "aria-label": `Train and valid loss over the epochs trained. ${live.sentence}` },
  ...across(round, y, LEFT, right), label(LEFT - 6, TOP - 6, live.log ? "loss (log)" : "loss", live.log ? "middle" : "end"),
  ...marks(view, x, end), ...(spread ? [spread] : []), ...lines(points, 1, "batches", x, y, breaks, false),
  ...lines(epochs, 1, "train", x, y, breaks, true), ...lines(epochs, 2, "valid", x, y, breaks, true),
  ...(beside > 100 ? names([
    { y: y(train ?? NaN), kind: "train", text: `train ${three(train ?? 0)}` },
    { y: y(valid ?? NaN), kind: "valid", text: `valid ${three(valid ?? 0)}${best ? `, ${best}` : ""}` }], right) : []),
  ...strip(view, x, last, TOP + TALL + 8),
  ...across(ticks(least, most, 2), z, LEFT, right),
  label(LEFT, floor - 8, byRate ? "learning rate of the head" : chosen ? `${chosen} (valid)` : ""),
  ...lines(lower, of, byRate ? "train" : "valid", x, z, byRate ? [] : breaks, !byRate),
  ...(beside > 100 && Number.isFinite(now) ? names([{ y: z(now), kind: byRate ? "train" : "valid", text: byRate ? rate(now) : three(now) }], right) : []),
  ...ticks(0, end, 8).filter((at) => at === Math.round(at) && (!at || x(at) > LEFT + 60)).map((at) =>
    label(x(at), HIGH - 6, at ? String(at) : "0 epochs", at ? "middle" : "start")));
};

const wordsOf = (row, count) => [row.at(-3), row.at(-2)].map(String).concat(
  [...row.slice(1, 3 + count), row.at(-1)].map((value) => (Number.isFinite(value) ? three(value) : "none")));

export default panel("monitor", "Training", (model, { picture, buttons, view, box }) => {
  const place = el("div"), line = el("span"), facts = el("span"), rates = el("p", { class: "nbt-now-rates" });
  const bar = el("progress", { "aria-label": "Share of this phase that is trained", max: 1 });
  const choices = [...view.metrics, "learning rate"];
  if (!choices.includes(box.dataset.chosen)) box.dataset.chosen = choices[0];
  const rows = tables(["Every epoch", ["phase", "epoch", "train loss", "valid loss", ...view.metrics, "seconds"], []],
    ["Every phase", ["phase", "begins after epochs", "epochs", "trains", "still", "highest rates"], view.phases.map((one) => one.row)],
    ["Batches, neighbours as one", ["epochs trained", "mean loss", "lowest", "highest", "rate of the head"], []]);
  let listed = 0;
  const listing = (epochs, all) => {
    if (!rows.open || (view.state !== "idle" && Date.now() - listed < 1000)) return; // a table is read, not watched
    rows.fill();
    listed = Date.now();
    rows.querySelector("caption").textContent = all > epochs.length ? `${epochs.length} of ${all} epochs; tuner.history.frame() has all` : "Every epoch";
    const [first, , last] = rows.querySelectorAll("tbody");
    first.replaceChildren(...epochs.map((row) => lineOf(wordsOf(row, view.metrics.length))));
    last.replaceChildren(...unpack(model.get("points"), 5).map((row) => lineOf([...row].map(three))));
  };
  const drawing = () => {
    const live = model.get("live"), epochs = unpack(model.get("epochs"), 6 + view.metrics.length);
    write(box.querySelector(".nbt-sentence"), live.sentence);
    write(line, live.status);
    write(facts, live.facts);
    write(rates, live.rates ? `Rates now: ${live.rates}` : "");
    bar.hidden = view.state === "idle";
    bar.value = live.share;
    listing(epochs, live.all);
    place.replaceChildren(...(view.phases.length ? [drawAll(model, view, live, epochs, Math.max(240, picture.clientWidth), box.dataset.chosen)] : []));
  };
  rows.addEventListener("toggle", drawing);
  picture.replaceChildren(el("p", { class: "nbt-status" }, line, facts), bar, place, rates,
    ...(view.phases.length ? [el("div", { class: "nbt-choices" },
      el("span", { text: "▲ trains; ❄ still, below the ice line. Train loss solid, valid dashed." }),
      choice("Below:", "below", choices, box.dataset.chosen, (name) => { box.dataset.chosen = name; drawing(); }))] : []), rows);
  const off = view.has_best ? "" : "No whole epoch yet: there is no best state.", best = view.at === "best";
  buttons.replaceChildren(...(view.state === "idle" ? [
    button(model, best ? "Use last" : "Use best", best ? "last" : "best", { off, name: "state" }),
    button(model, "Go on", "go", { primary: true, name: "train", off: view.left ? "" : "Nothing is left to train: a new tuner.fit() begins more." }),
  ] : [button(model, view.state === "stopping" ? "Stopping" : "Stop", "stop",
    { primary: true, always: true, name: "train", off: view.state === "stopping" ? "It ends after this batch." : "" })]));
  return drawing;
}, ["points", "epochs", "live"]);
