// The model as a row of groups from input to head; the ice line between what is still and what trains.
const WIDE = 12; // groups above this number are drawn without their details

const ms = (value) => (value === null ? "" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms a step`);

const card = (group, wide) => {
  const lines = [group.count, ms(group.ms), group.norms && `norms ${group.norms}`,
    group.still ? "" : group.lr && `lr ${group.lr}`, group.held].filter(Boolean);
  const mark = group.still ? "❄" : "▲";
  return el("div", { class: `nbt-group ${group.still ? "nbt-still" : "nbt-live"}`, style: `flex-grow:${group.width}`,
    title: [group.name, mark, ...lines].join(" · "), "data-group": group.name },
    el("span", { class: "nbt-name", text: wide ? "" : group.name }),
    el("span", { class: "nbt-mark", text: wide ? "" : mark, "aria-hidden": "true" }),
    ...(wide ? [] : lines.map((text) => el("span", { class: "nbt-fact", text }))));
};

const iceLine = (model, view, row) => {
  const last = view.groups.length - 1;
  const line = el("div", { class: "nbt-ice", role: "slider", tabindex: 0, "data-key": "ice",
    "aria-label": "Ice line: groups before it are still", "aria-valuemin": 0, "aria-valuemax": last,
    "aria-valuenow": view.first, "aria-valuetext": view.spoken, "aria-orientation": "horizontal",
    "aria-disabled": model.get("busy") ? "true" : "false" }, el("span", { text: "◀ ice ▶", "aria-hidden": "true" }));
  const go = (index) => {
    const to = Math.max(0, Math.min(last, index));
    if (!model.get("busy") && to !== model.get("view").first) ask(model, "freeze_to", to);
  };
  line.addEventListener("keydown", (event) => {
    const first = model.get("view").first;
    const to = { ArrowLeft: first - 1, ArrowDown: first - 1, ArrowRight: first + 1, ArrowUp: first + 1,
      PageDown: first - 5, PageUp: first + 5, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(to);
  });
  const at = (x) => {
    const starts = [...row.querySelectorAll(".nbt-group")].map((node) => node.getBoundingClientRect().left);
    return starts.reduce((best, left, index) => (Math.abs(left - x) < Math.abs(starts[best] - x) ? index : best), 0);
  };
  line.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    line.focus();
    line.setPointerCapture(event.pointerId);
    const move = (step) => place(line, row, at(step.clientX));
    const up = (end) => { line.removeEventListener("pointermove", move); go(at(end.clientX)); place(line, row, view.first); };
    line.addEventListener("pointermove", move);
    line.addEventListener("pointerup", up, { once: true });
  });
  return { line, go };
};

const place = (line, row, index) => {
  const node = row.querySelectorAll(".nbt-group")[index];
  if (node) line.style.left = `${node.offsetLeft - 2}px`;
};

const depthLine = (view) => {
  const known = view.groups.filter((group) => group.probe !== null);
  if (known.length < 2) return el("span");
  const text = known.map((group) => `${group.name} ${group.probe}`).join(", ");
  return el("p", { class: "nbt-depth", text: `Accuracy of a linear probe by depth (validation): ${text}.` });
};

export default panel("freeze", "What trains, what is still", (model, { picture, buttons, view }) => {
  const wide = view.groups.length > WIDE;
  const row = el("div", { class: `nbt-row ${wide ? "nbt-wide" : ""}` }, ...view.groups.map((group) => card(group, wide)));
  const { line, go } = iceLine(model, view, row);
  row.addEventListener("click", (event) => {
    const node = event.target.closest(".nbt-group");
    if (node) go([...row.querySelectorAll(".nbt-group")].indexOf(node));
  });
  row.append(line);
  const choose = (name, act, options, value) => el("label", { text: `${name} ` },
    el("select", { "data-key": act, onchange: (event) => ask(model, act, event.target.value) },
      ...options.map((word) => el("option", { value: word, text: word, ...(word === value ? { selected: "" } : {}) }))));
  picture.replaceChildren(row, depthLine(view),
    el("div", { class: "nbt-choices" },
      choose("Norm layers of the still part:", "norms", ["still", "stats", "train"], view.norms),
      choose("Width by:", "by", view.measures, view.by)),
    table("Groups from input to head", view.head, view.rows));
  buttons.replaceChildren(
    button(model, "Freeze", "freeze"), button(model, "Unfreeze", "unfreeze"),
    button(model, "Prove", "verify", { off: view.first ? "" : "Nothing is still." }), button(model, "Probe depths", "depth"));
  requestAnimationFrame(() => place(line, row, view.first));
  new ResizeObserver(() => place(line, row, view.first)).observe(row);
});
