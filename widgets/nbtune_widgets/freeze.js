// The model as a row of groups from input to head; the ice line between what is still and what trains.
const WIDE = 12; // groups above this number are drawn without their details
const SLIM = 92; // px: cards narrower than this show their name alone, upright

const ms = (value) => (value === null ? "" : `${value < 10 ? value.toPrecision(2) : value.toFixed(0)} ms a step`);

const facts = (group) => [group.count, ms(group.ms), group.norms && `norms ${group.norms}`, group.lr && `lr ${group.lr}`,
  group.out && `→ ${group.out}/item`, group.slope && `gradient ${group.slope}`, group.held, group.odd].filter(Boolean);

const card = (group, wide) => el("div", { class: `nbt-group ${group.still ? "nbt-still" : "nbt-live"}`,
  style: wide ? `flex-grow:${group.width}` : `flex:${group.width} 1 104px`,
  title: [group.name, group.still ? "❄ still" : "▲ trains", ...facts(group)].join(" · "), "data-group": group.name },
  ...(wide ? [] : [el("span", { class: "nbt-name", text: group.name }),
    el("span", { class: "nbt-mark", text: group.still ? "❄" : "▲", "aria-hidden": "true" }),
    ...facts(group).map((text) => el("span", { class: "nbt-fact", text }))]));

const place = (line, row, index) => {
  const node = row.querySelectorAll(".nbt-group")[index];
  if (!node) return;
  line.style.left = `${node.offsetLeft - (row.classList.contains("nbt-wide") ? 0 : 2)}px`;
  line.style.top = `${node.offsetTop - 26}px`;
  line.style.height = `${node.offsetHeight + 34}px`;
  const flag = line.firstElementChild, room = row.clientWidth - node.offsetLeft;
  flag.style.transform = node.offsetLeft < 40 ? "translateX(-4px)" : room < 40 ? "translateX(-90%)" : "translateX(-50%)";
};

const iceLine = (model, view, row, hint) => {
  const last = view.groups.length - 1;
  aim(model, "first", view.first);
  const line = el("div", { class: "nbt-ice", role: "slider", tabindex: 0, "data-key": "ice",
    "aria-label": "Ice line: groups before it are still", "aria-valuemin": 0, "aria-valuemax": last,
    "aria-valuenow": view.first, "aria-valuetext": view.spoken, "aria-orientation": "horizontal",
    "aria-disabled": model.get("busy") ? "true" : "false" }, el("span", { text: "◀ ice ▶", "aria-hidden": "true" }));
  const go = (index) => {
    const to = Math.max(0, Math.min(last, index));
    const now = aim(model, "first", model.get("view").first);
    if (gone(model) || model.get("busy") || to === now) return place(line, row, model.get("view").first);
    aim(model, "first", now, to);
    ask(model, "freeze_to", to);
  };
  slides(line, (step) => go(aim(model, "first", model.get("view").first) + step));
  const at = (x) => {
    const starts = [...row.querySelectorAll(".nbt-group")].map((node) => node.getBoundingClientRect().left);
    return starts.reduce((best, left, index) => (Math.abs(left - x) < Math.abs(starts[best] - x) ? index : best), 0);
  };
  const middle = () => { const { left, right } = line.getBoundingClientRect(); return (left + right) / 2; };
  drags(line, middle, (x) => { place(line, row, at(x)); hint(at(x)); }, (x) => go(x === null ? view.first : at(x)));
  return { line, go };
};

// What a linear probe reaches at each depth, under the boundary at which it was measured.
const depthLine = (view, row) => {
  if (!view.depth.length) return el("span");
  const wide = row.clientWidth || 600, groups = [...row.querySelectorAll(".nbt-group")];
  const low = Math.min(...view.depth.map((p) => p.low)), high = Math.max(...view.depth.map((p) => p.high));
  const y = (value) => 52 - (40 * (value - low)) / (high - low || 1);
  const x = (at) => Math.max(14, Math.min(wide - 14, groups[at].offsetLeft));
  const points = view.depth.map((p) => [x(p.at), y(p.value), p]);
  return el("figure", { class: "nbt-depth" },
    pictureOf(wide, 68, { "aria-label": view.depth_said },
      ...(points[0][0] > 90 ? [label(0, points[0][1] + 4, view.probed)] : []),
      ...points.map(([px, , p]) => svg("line", { x1: px, x2: px, y1: y(p.low), y2: y(p.high), class: "nbt-range" })),
      svg("polyline", { points: path(points), class: "nbt-curve" }),
      ...points.map(([px, py]) => svg("circle", { cx: px, cy: py, r: 3.5, class: "nbt-dot" })),
      ...(points.length > 10 ? [] : points.map(([px, , p]) => label(px, 66, p.text, "middle")))),
    el("figcaption", { text: view.depth_said }));
};

export default panel("freeze", "What trains, what is still", (model, { picture, buttons, view }) => {
  const wide = view.groups.length > WIDE;
  const row = el("div", { class: `nbt-row ${wide ? "nbt-wide" : ""}` }, ...view.groups.map((group) => card(group, wide)));
  const told = el("span", { class: "nbt-hint" });
  const few = () => row.classList.toggle("nbt-slim", !wide && row.clientWidth < SLIM * view.groups.length) || wide;
  const tell = (group) => { told.textContent = [group.name, group.still ? "❄ still" : "▲ trains", ...facts(group)].join(" · "); };
  const hint = (at) => { told.textContent = `${view.groups[at].name} would be the first to train; ${at} groups still`; };
  const { line, go } = iceLine(model, view, row, hint);
  const index = (event) => [...row.querySelectorAll(".nbt-group")].indexOf(event.target.closest(".nbt-group"));
  row.addEventListener("click", (event) => { if (index(event) >= 0) go(index(event)); });
  row.addEventListener("pointerover", (event) => { if (few() && index(event) >= 0) tell(view.groups[index(event)]); });
  row.append(line);
  const depth = el("div");
  picture.replaceChildren(row,
    el("p", { class: "nbt-share", 
      text: `❄ ${view.first} still · ▲ ${view.groups.length - view.first} train: ${view.share} of the parameters. ` }, told), depth,
    el("div", { class: "nbt-choices" },
      choice("Norm layers of the still part:", "norms", ["still", "stats", "train"], view.norms, (norms) => ask(model, "norms", norms),
        { off: model.get("busy") }),
      choice("Width by:", "by", view.measures, view.by, (by) => ask(model, "by", by))),
    tables(["Groups from input to head", view.head, view.rows]));
  const running = model.get("busy").includes("depth()") || model.get("busy").includes("prices()");
  buttons.replaceChildren(
    button(model, "Freeze body", "freeze", { off: view.groups.length < 2 ? "The model has one group." : "" }),
    button(model, "Unfreeze", "unfreeze"),
    button(model, "Prove", "verify", { off: view.first ? "" : "Nothing is still." }),
    button(model, "Probe depths", "depth"),
    ...(view.unmeasured ? [button(model, "Measure prices", "measure")] : []),
    ...(running ? [button(model, "Stop", "stop", { always: true })] : []));
  return () => {
    if (few()) tell(view.groups[view.first]); else told.textContent = "";
    place(line, row, model.get("view").first);
    depth.replaceChildren(depthLine(view, row));
  };
});
