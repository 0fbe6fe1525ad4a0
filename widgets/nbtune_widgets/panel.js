// What all panels share. `draw(model, parts)` of each panel fills `parts.picture` and `parts.buttons`.

const el = (tag, props = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const svg = (tag, props = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const ask = (model, act, ...values) => model.send({ act, with: values });

const button = (model, word, act, { primary = false, values = () => [], off = "" } = {}) => {
  const why = off || model.get("busy");
  const node = el("button", {
    class: primary ? "nbt-primary" : "", type: "button", text: word, "data-key": `button-${word}`,
    title: why || undefined, "aria-disabled": why ? "true" : undefined,
    onclick: () => { if (!(off || model.get("busy"))) ask(model, act, ...values()); },
  });
  return node;
};

const table = (caption, head, rows) =>
  el("details", { class: "nbt-table" }, el("summary", { text: "As table", "data-key": "table" }),
    el("div", { class: "nbt-scroll", tabindex: 0, role: "region", "aria-label": caption },
      el("table", {}, el("caption", { text: caption }),
        el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col", text })))),
        el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((text, at) =>
          el(at ? "td" : "th", at ? { text } : { scope: "row", text }))))))));

const codeLine = (model) => {
  const line = model.get("code");
  if (!line) return el("span");
  const copied = el("button", { type: "button", class: "nbt-copy", text: "Copy", "data-key": "copy",
    "aria-label": `Copy the code ${line}`,
    onclick: async () => { await navigator.clipboard?.writeText(line); copied.textContent = "Copied"; } });
  return el("span", { class: "nbt-code" }, el("code", { "data-nbtune-code": "", text: line }), copied);
};

const problem = (error) => {
  if (!error.given) return el("span");
  const parts = ["rule", "likely", "next"].filter((name) => error[name]);
  return el("div", { class: "nbt-error", role: "alert" }, el("p", { text: error.given }),
    ...parts.map((name) => el("p", {}, el("b", { text: `${name[0].toUpperCase()}${name.slice(1)}: ` }), error[name])));
};

// One panel in the page. The picture is drawn anew when what it shows changes; focus stays where it was.
const panel = (kind, label, draw) => ({
  render({ model, el: root }) {
    const style = el("style", { text: `[data-nbtune-static="${model.get("still_id")}"]{display:none}` });
    document.head.append(style);
    const picture = el("div", { class: "nbt-picture" });
    const buttons = el("div", { class: "nbt-buttons" });
    const title = el("h3", {}), sentence = el("p", { class: "nbt-sentence" });
    const code = el("div", { class: "nbt-line" }), error = el("div");
    const said = el("div", { class: "nbt-said", role: "status", "aria-live": "polite" });
    const box = el("section", { class: "nbt", "data-nbtune": kind, "aria-label": label },
      title, sentence, picture, error, el("footer", {}, code, buttons), said);
    root.append(box);
    const paint = () => {
      const key = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const open = [...box.querySelectorAll("details")].map((node) => node.open);
      const view = model.get("view");
      title.textContent = view.title ?? label;
      sentence.textContent = view.sentence ?? "";
      box.setAttribute("aria-busy", model.get("busy") ? "true" : "false");
      draw(model, { picture, buttons, view, box });
      code.replaceChildren(codeLine(model));
      error.replaceChildren(problem(model.get("error")));
      said.textContent = model.get("busy") || model.get("said");
      [...box.querySelectorAll("details")].forEach((node, at) => { node.open = open[at] ?? false; });
      if (key) box.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    };
    const names = ["view", "code", "busy", "error", "said"].map((name) => `change:${name}`).join(" ");
    let waiting = 0;
    const soon = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; paint(); }); };
    model.on(names, soon);
    const refresh = () => ask(model, "refresh");
    window.addEventListener("focus", refresh);
    paint();
    return () => {
      model.off(names, soon);
      window.removeEventListener("focus", refresh);
      cancelAnimationFrame(waiting);
      style.remove();
    };
  },
});
