// Loss against learning rate; two markers choose base and top rate of the next training.
const HIGH = 250, LEFT = 44, RIGHT = 14, TOP = 40, FOOT = 40; // px
const STEP = 10 ** 0.05; // of a key: about 12 %

const two = (value) => Number(value.toPrecision(2));
const scales = (view, wide) => {
  const lrs = view.curve?.lrs?.length ? view.curve.lrs : [1e-7, 10];
  const [from, to] = [Math.min(lrs[0], view.base), Math.max(lrs.at(-1), view.top)].map(Math.log10);
  const [low, high] = view.curve?.limits ?? [0, 1];
  const x = (lr) => LEFT + ((wide - LEFT - RIGHT) * (Math.log10(lr) - from)) / (to - from || 1);
  const y = (loss) => Math.max(TOP - 8, HIGH - FOOT - ((HIGH - FOOT - TOP) * (loss - low)) / (high - low || 1));
  return { x, y, from, to, low, high, room: wide - RIGHT, back: (px) => 10 ** (from + ((px - LEFT) * (to - from)) / (wide - LEFT - RIGHT)) };
};

const axes = ({ x, y, from, to, low, high }, wide) => {
  const every = wide < 480 ? 2 : 1, decades = [];
  for (let power = Math.ceil(from - 1e-9); power <= to + 1e-9; power += every) decades.push(power);
  return [
    ...decades.flatMap((power) => [
      svg("line", { class: "nbt-grid", x1: x(10 ** power), x2: x(10 ** power), y1: TOP, y2: HIGH - FOOT }),
      label(x(10 ** power), HIGH - FOOT + 15, `1e${power}`, "middle")]),
    ...across(ticks(low, high, 5), y, LEFT, wide - RIGHT),
    label(LEFT, HIGH - 6, "learning rate (log)"), label(LEFT - 6, TOP - 14, "loss", "end")];
};

// A word right of a place, or left of it where there is no room.
const beside = (x, gap, y, text, room, at = x) =>
  (at + gap + 6.5 * text.length > room ? label(x - gap, y, text, "end") : label(x + gap, y, text));

const curveOf = (view, { x, y, room }) => {
  const { lrs, middle, low, high, several } = view.curve ?? { lrs: [] };
  if (!lrs.length) return [];
  const points = (line) => line.map((loss, at) => [x(lrs[at]), y(loss)]);
  const at = (lr) => middle[lrs.reduce((best, one, i) => (Math.abs(Math.log(one / lr)) < Math.abs(Math.log(lrs[best] / lr)) ? i : best), 0)];
  return [
    ...(several ? [svg("polygon", { class: "nbt-band", points: path([...points(low), ...points(high).reverse()]) })] : []),
    svg("polyline", { class: "nbt-curve", points: path(points(middle)) }),
    ...view.readings.map(([name, lr]) => svg("g", {}, svg("title", { text: `${name} ${rate(lr)}` }),
      svg("circle", { class: "nbt-dot", cx: x(lr), cy: y(at(lr)), r: 3.5 }))),
    ...(view.suggestion ? [svg("path", { class: "nbt-dot", d: `M${x(view.suggestion)},${HIGH - FOOT - 2} l-5,-9 h10 z` }),
      beside(x(view.suggestion), 9, HIGH - FOOT - 4, `suggestion ${rate(view.suggestion)}`, room)] : [])];
};

// The rate of each group that trains, as ticks above the curve: close ones share a label.
const previews = (view, { x }) => {
  let last = Infinity;
  const equal = view.rates.length > 1 && view.base === view.top;
  return [...view.rates].reverse().map(([name, lr]) => {
    const room = last - x(lr) > 46;
    if (room) last = x(lr);
    return svg("g", { class: "nbt-rate" }, svg("title", { text: `${name} ${rate(lr)}` }),
      svg("line", { x1: x(lr), x2: x(lr), y1: TOP - 10, y2: TOP - 2 }),
      ...(room ? [label(x(lr), TOP - 26, equal ? "all" : name, "middle")] : []));
  });
};

const marker = (model, view, which, { x, from, to, back, room }, node, moved) => {
  const lr = view[which], top = which === "top";
  const line = svg("g", { class: `nbt-marker nbt-${which}`, role: "slider", tabindex: 0, "data-key": which,
    "aria-label": top ? "Top rate" : "Base rate",
    "aria-valuemin": from, "aria-valuemax": to, "aria-valuenow": Math.log10(lr), "aria-valuetext": rate(lr),
    transform: `translate(${x(lr)} 0)` },
    svg("rect", top ? { x: -12, y: TOP - 8, width: 24, height: 98 } // each is held at its own part,
      : { x: -12, y: TOP + 90, width: 24, height: HIGH - FOOT - TOP - 90 }), // so that equal rates can be parted
    svg("line", { class: "nbt-mark-line", y1: TOP - 8, y2: HIGH - FOOT, "stroke-dasharray": top ? undefined : "5 4" }),
    svg("circle", { cy: top ? TOP + 70 : TOP + 110, r: 7 }),
    top ? beside(0, 12, TOP + 74, `top ${rate(lr)}`, room, x(lr)) : label(-12, TOP + 114, `base ${rate(lr)}`, "end"));
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
  drags(line, () => node().getBoundingClientRect().left + x(now(which)), (px) => {
    line.setAttribute("transform", `translate(${x(place(px))} 0)`);
    line.querySelector("text").textContent = `${which} ${rate(two(place(px)))}`;
    moved(which, two(place(px)));
  }, (px) => { if (px !== null) say(place(px)); });
  return line;
};

const typing = (model, view, which) => {
  const answer = ({ target }) => { // Enter and blur as well: of a field drawn anew a browser does not know that it was changed
    if (target.dataset.typing !== "yes") return;
    delete target.dataset.typing;
    const now = model.get("view");
    ask(model, "choose", which === "base" ? target.value : now.base, which === "top" ? target.value : now.top, which);
  };
  return el("label", { text: `${which === "top" ? "Top" : "Base"} rate ` },
    el("input", { type: "text", inputmode: "decimal", value: rate(view[which]), "data-key": `type-${which}`, "data-which": which,
      oninput: (event) => { event.target.dataset.typing = "yes"; }, onchange: answer, onblur: answer,
      onkeydown: (event) => { if (event.key === "Enter") answer(event); } }));
};

export default panel("finder", "Learning rate range test", (model, { picture, buttons, view }) => {
  const place = el("div", { class: view.stale ? "nbt-stale" : "" }), bar = el("progress", { "aria-label": "Steps of the range test" });
  const finding = model.get("busy").includes("lr_find()"), ends = view.rates.length > 1 ? ["base", "top"] : ["top"];
  const moved = (which, value) => { const field = picture.querySelector(`[data-which="${which}"]`); if (field) field.value = rate(value); };
  picture.replaceChildren(place, ...(finding ? [bar] : []),
    el("p", { class: "nbt-hint", text: view.readings.length ? `● readings: ${ratesOf(view.readings)}` : "" }),
    el("p", { class: "nbt-rates", text: `▲ ${view.used ? "next rates" : "rates with Use"}: ${ratesOf(view.rates)}` }),
    el("div", { class: "nbt-choices" }, ...ends.map((which) => typing(model, view, which)),
      choice("Seeds", "seeds", view.choices, view.seeds, (count) => ask(model, "seeds", count))),
    tables(["Loss by learning rate", view.head, view.rows],
      ["Rates of the next training, as chosen", ["group", "rate"], view.rates.map(([name, lr]) => [name, rate(lr)])],
      ["Readings of the curve", ["reading", "rate"], view.readings.map(([name, lr]) => [name, rate(lr)])]));
  const word = ends.length < 2 || view.base === view.top ? rate(view.top) : `${rate(view.base)} to ${rate(view.top)}`;
  buttons.replaceChildren(
    finding ? button(model, "Stop", "stop", { always: true, name: "find" })
      : button(model, view.curve ? "Run again" : "Find", "find", { name: "find" }),
    button(model, `Use ${word}`, "use", { primary: true, name: "use", off: view.used ? "The next fit takes it already." : "" }));
  return () => {
    const held = document.activeElement?.dataset?.key, [done, total] = model.get("progress");
    if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
    const wide = Math.max(240, picture.clientWidth), scale = scales(view, wide);
    const node = pictureOf(wide, HIGH, { role: "group", "aria-label": "Loss against learning rate" },
      ...axes(scale, wide), ...curveOf(view, scale), ...previews(view, scale));
    node.append(...ends.map((which) => marker(model, view, which, scale, () => node, moved)));
    place.replaceChildren(node);
    if (ends.includes(held)) place.querySelector(`[data-key="${held}"]`).focus({ preventScroll: true });
  };
}, ["progress"]);
