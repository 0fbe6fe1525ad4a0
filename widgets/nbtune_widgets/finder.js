// Loss against learning rate; two markers choose base and top rate of the next training.
const HIGH = 250, LEFT = 44, RIGHT = 14, TOP = 40, FOOT = 40; // px
const STEP = 10 ** 0.05; // of a key: about 12 %

const two = (value) => Number(value.toPrecision(2));
const show = (value) => value.toExponential(1).replace(".0e", "e").replace("e+", "e");

// Round numbers between two: about four.
const nice = (low, high) => {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough), found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(at * step);
  return found;
};

const scales = (view, wide) => {
  const lrs = view.curve?.lrs?.length ? view.curve.lrs : [1e-7, 10];
  const [from, to] = [Math.min(lrs[0], view.base), Math.max(lrs.at(-1), view.top)].map(Math.log10);
  const [low, high] = view.curve?.limits ?? [0, 1];
  const x = (lr) => LEFT + ((wide - LEFT - RIGHT) * (Math.log10(lr) - from)) / (to - from || 1);
  const y = (loss) => Math.max(TOP - 8, HIGH - FOOT - ((HIGH - FOOT - TOP) * (loss - low)) / (high - low || 1));
  return { x, y, from, to, low, high, back: (px) => 10 ** (from + ((px - LEFT) * (to - from)) / (wide - LEFT - RIGHT)) };
};

const axes = ({ x, y, from, to, low, high }, wide) => {
  const every = wide < 480 ? 2 : 1, decades = [];
  for (let power = Math.ceil(from - 1e-9); power <= to + 1e-9; power += every) decades.push(power);
  return [
    ...decades.flatMap((power) => [
      svg("line", { class: "nbt-grid", x1: x(10 ** power), x2: x(10 ** power), y1: TOP, y2: HIGH - FOOT }),
      svg("text", { x: x(10 ** power), y: HIGH - FOOT + 15, "text-anchor": "middle", text: `1e${power}` })]),
    ...nice(low, high).map((loss) =>
      svg("text", { x: LEFT - 6, y: y(loss) + 4, "text-anchor": "end", text: String(Number(loss.toPrecision(6))) })),
    svg("text", { x: LEFT, y: HIGH - 6, text: "learning rate (log)" }),
    svg("text", { x: LEFT - 6, y: TOP - 14, "text-anchor": "end", text: "loss" })];
};

const curveOf = (view, { x, y }) => {
  const { lrs, middle, low, high, several } = view.curve ?? { lrs: [] };
  if (!lrs.length) return [];
  const points = (line) => line.map((loss, at) => `${x(lrs[at]).toFixed(1)},${y(loss).toFixed(1)}`);
  const at = (lr) => middle[lrs.reduce((best, one, i) => (Math.abs(Math.log(one / lr)) < Math.abs(Math.log(lrs[best] / lr)) ? i : best), 0)];
  return [
    ...(several ? [svg("polygon", { class: "nbt-band", points: [...points(low), ...points(high).reverse()].join(" ") })] : []),
    svg("polyline", { class: "nbt-curve", points: points(middle).join(" ") }),
    ...view.readings.map(([name, lr]) => svg("g", {}, svg("title", { text: `${name} ${show(lr)}` }),
      svg("circle", { class: "nbt-dot", cx: x(lr), cy: y(at(lr)), r: 3.5 }))),
    ...(view.suggestion ? [svg("path", { class: "nbt-dot", d: `M${x(view.suggestion)},${HIGH - FOOT - 2} l-5,-9 h10 z` }),
      svg("text", { x: x(view.suggestion) + 9, y: HIGH - FOOT - 4, text: `suggestion ${show(view.suggestion)}` })] : [])];
};

// The rate of each group that trains, as ticks above the curve: close ones share a label.
const ratesOf = (view, { x }) => {
  let last = Infinity;
  const equal = view.rates.length > 1 && view.base === view.top;
  return [...view.rates].reverse().map(([name, lr]) => {
    const room = last - x(lr) > 46;
    if (room) last = x(lr);
    return svg("g", { class: "nbt-rate" }, svg("title", { text: `${name} ${show(lr)}` }),
      svg("line", { x1: x(lr), x2: x(lr), y1: TOP - 10, y2: TOP - 2 }),
      ...(room ? [svg("text", { x: x(lr), y: TOP - 26, "text-anchor": "middle", text: equal ? "all" : name })] : []));
  });
};

const marker = (model, view, which, { x, from, to, back }, node, moved) => {
  const lr = view[which], label = which === "top" ? "Top rate" : "Base rate";
  const line = svg("g", { class: `nbt-marker nbt-${which}`, role: "slider", tabindex: 0, "data-key": which, "aria-label": label,
    "aria-valuemin": from, "aria-valuemax": to, "aria-valuenow": Math.log10(lr), "aria-valuetext": show(lr),
    transform: `translate(${x(lr)} 0)` },
    svg("rect", which === "top" ? { x: -12, y: TOP - 8, width: 24, height: 98 } // each is held at its own part,
      : { x: -12, y: TOP + 90, width: 24, height: HIGH - FOOT - TOP - 90 }), // so that equal rates can be parted
    svg("line", { class: "nbt-mark-line", y1: TOP - 8, y2: HIGH - FOOT, ...(which === "base" ? { "stroke-dasharray": "5 4" } : {}) }),
    svg("circle", { cy: which === "top" ? TOP + 70 : TOP + 110, r: 7 }),
    svg("text", { x: which === "top" ? 12 : -12, y: (which === "top" ? TOP + 74 : TOP + 114),
      "text-anchor": which === "top" ? "start" : "end", text: `${which} ${show(lr)}` }));
  const now = (name) => aim(model, name, model.get("view")[name]);
  now(which);
  const say = (value) => {
    const to = two(value);
    if (to === now(which)) return;
    const both = [which === "base" ? to : now("base"), which === "top" ? to : now("top")];
    aim(model, which, null, to);
    ask(model, "choose", ...both, which);
  };
  const ends = [10 ** from, 10 ** to];
  slides(line, (step) => {
    const here = now(which), next = here * STEP ** step;
    if (Math.abs(step) === Infinity) say(ends[step > 0 ? 1 : 0]);
    else say(two(next) === here ? here * (step > 0 ? 1.1 : 0.9) : next);
  });
  const place = (px) => Math.max(ends[0], Math.min(ends[1], back(px - node().getBoundingClientRect().left)));
  drags(line, (px) => {
    line.setAttribute("transform", `translate(${x(place(px))} 0)`);
    line.querySelector("text").textContent = `${which} ${show(two(place(px)))}`;
    moved(which, two(place(px)));
  }, (px) => { if (px !== null) say(place(px)); });
  return line;
};

const typing = (model, view, which) => el("label", { text: `${which === "top" ? "Top" : "Base"} rate ` },
  el("input", { type: "text", inputmode: "decimal", value: show(view[which]), "data-key": `type-${which}`, "data-which": which,
    oninput: (event) => { event.target.dataset.typing = "yes"; },
    onchange: (event) => {
      delete event.target.dataset.typing;
      const now = model.get("view");
      ask(model, "choose", which === "base" ? event.target.value : now.base, which === "top" ? event.target.value : now.top, which);
    } }));

export default panel("finder", "Learning rate", (model, { picture, buttons, view, box }) => {
  const place = el("div", { class: view.stale ? "nbt-stale" : "" });
  const rates = el("p", { class: "nbt-rates", text: view.rates.length > 8
    ? `${view.rates.length} groups from ${view.rates[0][0]} ${show(view.rates[0][1])} to ${view.rates.at(-1)[0]} ${show(view.rates.at(-1)[1])}`
    : `▲ next rates: ${view.rates.map(([name, lr]) => `${name} ${show(lr)}`).join(" · ")}` });
  const read = el("p", { class: "nbt-hint", text: view.readings.length
    ? `● readings: ${view.readings.map(([name, lr]) => `${name} ${show(lr)}`).join(" · ")}` : "" });
  const moved = (which, value) => { const box = picture.querySelector(`[data-which="${which}"]`); if (box) box.value = show(value); };
  const drawing = () => {
    if (box.dataset.dragging) return;
    const held = document.activeElement?.dataset?.key;
    const wide = Math.max(240, picture.clientWidth), scale = scales(view, wide);
    const node = svg("svg", { width: wide, height: HIGH, viewBox: `0 0 ${wide} ${HIGH}`, role: "group",
      "aria-label": "Loss against learning rate" },
      ...axes(scale, wide), ...curveOf(view, scale), ...ratesOf(view, scale));
    const ends = view.rates.length > 1 ? ["base", "top"] : ["top"];
    node.append(...ends.map((which) => marker(model, view, which, scale, () => node, moved)));
    place.replaceChildren(node);
    if (["base", "top"].includes(held)) place.querySelector(`[data-key="${held}"]`).focus({ preventScroll: true });
  };
  const bar = el("progress", { "aria-label": "Steps of the range test" });
  const tick = () => {
    const [done, total] = model.get("progress");
    if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
  };
  const finding = model.get("busy").includes("lr_find()");
  tick();
  if (box.tick) model.off("change:progress", box.tick);
  box.tick = tick;
  model.on("change:progress", tick);
  picture.replaceChildren(place, ...(finding ? [bar] : []), read, rates,
    el("div", { class: "nbt-choices" }, ...(view.rates.length > 1 ? [typing(model, view, "base")] : []), typing(model, view, "top"),
      el("label", { text: "Seeds " }, el("select", { "data-key": "seeds", onchange: (event) => ask(model, "seeds", event.target.value) },
        ...view.choices.map((n) => el("option", { value: n, text: n, ...(n === view.seeds ? { selected: "" } : {}) }))))),
    tables(["Loss by learning rate", view.head, view.rows],
      ["Rates of the next training, as chosen", ["group", "rate"], view.rates.map(([name, lr]) => [name, show(lr)])],
      ["Readings of the curve", ["reading", "rate"], view.readings.map(([name, lr]) => [name, show(lr)])]));
  drawing();
  if (box.drawing) box.removeEventListener("nbt:resized", box.drawing);
  box.drawing = drawing;
  box.addEventListener("nbt:resized", drawing);
  const word = view.base === view.top || view.rates.length < 2 ? show(view.top) : `${show(view.base)} to ${show(view.top)}`;
  buttons.replaceChildren(
    ...(finding ? [button(model, "Stop", "stop", { always: true, name: "find" })]
      : [button(model, view.curve ? "Run again" : "Find", "find", { name: "find" })]),
    button(model, `Use ${word}`, "use", { primary: true, name: "use", off: view.used ? "The next fit takes it already." : "" }));
});
