// What all panels share. `draw(model, parts)` of each panel fills `parts.picture` and `parts.buttons`.
const SILENCE = 1500; // ms without an answer after which a panel says so
const SILENT = "The kernel does not answer: it ended, or this front end holds clicks back until the cell ends. "
  + "Interrupt it with the notebook's ■ button.";
const GONE = "The kernel was restarted or ended, so this panel is a picture of what was. Run its cell again.";

const el = (tag, props = {}, ...children) => fill(document.createElement(tag), props, children);
const svg = (tag, props = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);

const fill = (node, props, children) => {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

// Words that change while a panel is shown; those in which a person began to select some stay while they are selected.
const write = (node, text) => {
  const selected = document.getSelection();
  if (node.textContent !== text && (selected?.isCollapsed !== false || !node.contains(selected.anchorNode))) node.textContent = text;
};

// Panels whose kernel is gone: nobody is there to be asked. Kept by name for the whole page, which may draw them anew.
const lost = (globalThis.nbtuneLost ??= new Set());
const gone = (model) => lost.has(model.get("still_id"));

// How many questions the kernel will have answered when it has answered the next one.
const asked = new WeakMap();
const due = (model) => Math.max(asked.get(model) ?? 0, model.get("heard")) + 1;

// Ask the kernel for something; a front end that holds messages while a cell runs is named after a while.
const ask = (model, act, ...values) => {
  const heard = model.get("heard"), quiet = () => silences.dispatchEvent(new Event(model.get("still_id")));
  if (gone(model)) { // to draw anew on a refresh would move the focus, which asks for a refresh
    if (act !== "refresh") quiet();
    return;
  }
  asked.set(model, due(model));
  try { model.send({ act, with: values }); } catch { // its line to the kernel is cut
    lost.add(model.get("still_id"));
    quiet();
    return;
  }
  if (act === "refresh") return;
  setTimeout(() => { if (model.get("heard") === heard) quiet(); }, SILENCE);
};
const silences = new EventTarget(); // a model of anywidget has no events of its own making

// The second click of a double click, and a key that is held, would press what the first put in the same place: Stop, say,
// where Go on was. Nobody means both within this time.
const TWICE = 600; // ms
const clicks = new WeakMap();
const hasty = (model, place, act) => {
  const last = clicks.get(model), now = Date.now();
  const twice = last?.place === place && last.act !== act && now - last.at < TWICE;
  clicks.set(model, { place, act: twice ? last.act : act, at: now });
  return twice;
};

// `act` is asked of the kernel by its name, or done in the page where it is a function.
const button = (model, word, act, { primary = false, values = [], off = "", always = false, name } = {}) => {
  const why = () => (gone(model) ? GONE : off || (always ? "" : model.get("busy")));
  const go = typeof act === "function" ? act : () => ask(model, act, ...values);
  return el("button", {
    class: primary ? "nbt-primary" : "", type: "button", text: word, "data-key": `button-${name ?? word}`,
    title: why() || undefined, "aria-disabled": why() ? "true" : undefined,
    onclick: () => { if (!why() && !hasty(model, name ?? word, typeof act === "function" ? word : act)) go(); },
  });
};

const codeLine = (model) => {
  const line = model.get("code");
  if (!line) return el("span");
  const copied = el("button", { type: "button", class: "nbt-copy", text: "Copy", "data-key": "copy",
    "aria-label": `Copy the code ${line}`,
    onclick: async () => {
      try { await navigator.clipboard.writeText(line); copied.textContent = "Copied"; } catch { copied.textContent = "Not allowed here"; }
    } });
  return el("span", { class: "nbt-code" }, el("code", { "data-nbtune-code": "", text: line }), copied);
};

const problem = (error) => {
  if (!error.given) return el("span");
  const parts = ["rule", "likely", "next"].filter((name) => error[name]);
  return el("div", { class: "nbt-error", role: "alert" }, el("p", { text: error.given }),
    ...parts.map((name) => el("p", {}, el("b", { text: `${name[0].toUpperCase()}${name.slice(1)}: ` }), error[name])));
};

// A front end may say its theme in ways of its own; what the panel's paper looks like is true in all of them.
const dress = (box) => {
  const paper = getComputedStyle(box).backgroundColor;
  const [red, green, blue] = (paper.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  box.classList.toggle("nbt-dark", 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110);
  box.style.setProperty("--paper", paper);
  box.classList.toggle("nbt-narrow", box.clientWidth < 560);
};

// A slider made of any element: `read()` gives where it stands, `go(step)` moves it by keys.
const slides = (node, go) => node.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5,
    Home: -Infinity, End: Infinity }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  go(step);
});

// Where a control is on its way to while the kernel has not answered yet: keys come faster than answers.
const aims = new WeakMap();
const aim = (model, name, now, to) => {
  if (!aims.has(model)) aims.set(model, {});
  const all = aims.get(model);
  const past = (one) => one.to === now || model.get("answered") >= one.due || Date.now() - one.at > SILENCE;
  if (to !== undefined) all[name] = { to, at: Date.now(), due: due(model) };
  else if (all[name] && past(all[name])) delete all[name];
  return all[name]?.to ?? now;
};

// Follows the pointer from press to release; no repaint comes between. `grip()` is where on the page (px) the node is held
// by a press in its middle; `end` gets where it was left, or null where it was not moved.
const drags = (node, grip, move, end) => node.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  event.preventDefault();
  node.focus();
  node.setPointerCapture(event.pointerId);
  const box = node.closest(".nbt"), beside = event.clientX - grip();
  let moved = false;
  box.dataset.dragging = "yes";
  const follow = (step) => {
    moved ||= Math.abs(step.clientX - event.clientX) > 2; // a hand is never quite still
    if (moved) move(step.clientX - beside);
  };
  const up = (last) => {
    for (const [name, act] of [["pointermove", follow], ["pointerup", up], ["pointercancel", up]]) node.removeEventListener(name, act);
    delete box.dataset.dragging;
    end(moved && last.type === "pointerup" ? last.clientX - beside : null);
    box.dispatchEvent(new Event("nbt:settled"));
  };
  for (const [name, act] of [["pointermove", follow], ["pointerup", up], ["pointercancel", up]]) node.addEventListener(name, act);
});

// `act` once before the next repaint, however often it is asked for.
const frame = (act) => {
  let waiting = 0;
  const soon = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; act(); }); };
  soon.cancel = () => cancelAnimationFrame(waiting);
  return soon;
};

const listOpens = globalThis.CSS?.supports?.("selector(select:open)"); // a list that closes by itself answers nothing

// Whether a button or a key is held down in `box`: a control that is drawn anew between press and release would not hear
// its click. `after` is called when that has come through. No press holds a panel for longer than five seconds, and a stroke
// on paper none: it is read while it is drawn.
const presses = (box, after) => {
  let ends = 0;
  const lift = () => { ends = 0; after(); };
  const press = () => { clearTimeout(ends); ends = setTimeout(lift, 5000); };
  const release = () => { if (ends) { clearTimeout(ends); ends = setTimeout(lift, 20); } };
  const heard = [
    [box, "pointerdown", (event) => { if (event.target.tagName !== "CANVAS") press(); }],
    [box, "keydown", (event) => { if (event.key === " ") press(); }],
    [window, "pointerup", release], [window, "pointercancel", release],
    [window, "keyup", (event) => { if (event.key === " ") release(); }]];
  for (const [node, name, act] of heard) node.addEventListener(name, act, true);
  return { held: () => ends > 0, off: () => {
    clearTimeout(ends);
    for (const [node, name, act] of heard) node.removeEventListener(name, act, true);
  } };
};

// One panel in the page. The picture is drawn anew when what it shows changes; focus stays where it was.
// `draw` gives what is to be done anew when the panel has another width or one of the traits `live` changes, if anything.
const panel = (kind, label, draw, live = []) => ({
  render({ model, el: root }) {
    const style = el("style", { text: `[data-nbtune-static="${model.get("still_id")}"]{display:none}` });
    document.head.append(style);
    const picture = el("div", { class: "nbt-picture" }), buttons = el("div", { class: "nbt-buttons" });
    const title = el("div", { class: "nbt-title" }), sentence = el("p", { class: "nbt-sentence" });
    const code = el("div", { class: "nbt-line" }), error = el("div");
    const said = el("div", { class: "nbt-said", role: "status", "aria-live": "polite" });
    const box = el("div", { class: "nbt", role: "group", "data-nbtune": kind, "aria-label": label },
      title, sentence, picture, error, said, el("div", { class: "nbt-foot" }, code, buttons));
    root.append(box);
    let silent = false, spoken = 0, again = () => {}, painting = false, waits = false, later = 0;
    const held = () => box.dataset.dragging || press.held() || (listOpens && box.querySelector("select:open"));
    const speak = () => {
      const text = gone(model) ? GONE : silent ? SILENT : model.get("busy") || model.get("said");
      said.classList.toggle("nbt-seen", gone(model) || silent || Boolean(model.get("busy")));
      said.classList.toggle("nbt-brief", !gone(model) && !silent); // beside the title, so that nothing below it moves
      if (said.textContent !== text) said.textContent = text;
    };
    const paint = () => {
      clearTimeout(later);
      waits = Boolean(held());
      if (waits) { later = setTimeout(soon, 300); return; }
      const focused = box.contains(document.activeElement) ? document.activeElement : null;
      const typed = focused?.dataset.typing ? [focused.value, focused.selectionStart, focused.selectionEnd] : null;
      if (typed) focused.dataset.typing = "elsewhere"; // that it leaves the page is no answer: it goes on in the new one
      const scrolled = [...box.querySelectorAll("[data-key]")].filter((node) => node.scrollTop).map((node) => [node.dataset.key, node.scrollTop]);
      const open = [...box.querySelectorAll("details")].map((node) => node.open);
      const view = model.get("view");
      write(title, view.title ?? label);
      write(sentence, view.sentence ?? "");
      box.setAttribute("aria-busy", model.get("busy") ? "true" : "false");
      dress(box);
      again = draw(model, { picture, buttons, view, box }) ?? (() => {});
      again();
      if (code.dataset.shown !== model.get("code")) code.replaceChildren(codeLine(model)); // a line that was copied says so
      code.dataset.shown = model.get("code");
      error.replaceChildren(problem(model.get("error")));
      clearTimeout(spoken);
      spoken = setTimeout(speak, 150); // not each step of a moving slider is read out
      [...box.querySelectorAll("details")].forEach((node, at) => {
        node.open = open[at] ?? false;
        if (node.open) node.fill?.();
      });
      const keyed = (key) => box.querySelector(`[data-key="${CSS.escape(key)}"]`);
      for (const [key, top] of scrolled) if (keyed(key)) keyed(key).scrollTop = top;
      if (!focused || focused.isConnected) return;
      painting = true; // nobody came to the panel who would want it read again
      const same = focused.dataset.key && keyed(focused.dataset.key);
      same?.focus({ preventScroll: true });
      if (!box.contains(document.activeElement)) buttons.querySelector("button")?.focus({ preventScroll: true }); // it is gone
      painting = false;
      if (!same || !typed) return;
      [same.value, same.dataset.typing] = [typed[0], "yes"];
      same.setSelectionRange(typed[1], typed[2]);
    };
    const [soon, soonLive] = [frame(paint), frame(() => { if (!box.dataset.dragging) again(); })];
    const press = presses(box, () => { if (waits) soon(); });
    const changes = (traits) => traits.map((name) => `change:${name}`).join(" ");
    const names = changes(["view", "code", "busy", "error", "said"]);
    const heard = () => { silent = false; speak(); };
    const silence = () => { if (gone(model)) soon(); else { silent = true; speak(); } };
    const end = () => { lost.add(model.get("still_id")); soon(); }; // said by the front end when it cuts a kernel's widgets off
    model.on(names, soon);
    if (live.length) model.on(changes(live), soonLive);
    model.on("comm_live_update", end);
    model.on("change:heard", heard);
    silences.addEventListener(model.get("still_id"), silence);
    box.addEventListener("nbt:settled", soon);
    const refresh = () => ask(model, "refresh");
    window.addEventListener("focus", refresh);
    box.addEventListener("focusin", (event) => { if (!painting && !box.contains(event.relatedTarget)) refresh(); });
    // JupyterLab takes plain keys for its cells before a panel hears them; those with Ctrl and the like stay its own.
    const ours = (event) => !(event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter"));
    const keys = (event) => box.toggleAttribute("data-lm-suppress-shortcuts", ours(event));
    window.addEventListener("keydown", keys, true);
    box.addEventListener("keydown", (event) => { if (ours(event)) event.stopPropagation(); });
    const themes = new MutationObserver(soon);
    themes.observe(document.body, { attributes: true });
    themes.observe(document.documentElement, { attributes: true });
    const shown = new ResizeObserver(() => {
      dress(box);
      soonLive();
    });
    shown.observe(box);
    paint();
    return () => {
      model.off(names, soon);
      if (live.length) model.off(changes(live), soonLive);
      model.off("comm_live_update", end);
      model.off("change:heard", heard);
      silences.removeEventListener(model.get("still_id"), silence);
      press.off();
      window.removeEventListener("focus", refresh);
      window.removeEventListener("keydown", keys, true);
      themes.disconnect();
      shown.disconnect();
      soon.cancel();
      soonLive.cancel();
      clearTimeout(spoken);
      clearTimeout(later);
      style.remove();
    };
  },
});
