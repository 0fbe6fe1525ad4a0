// The items of a task, page by page: a grid to look at, one item large beside it, and marks for an edit.
const SIGNS = { exclude: "✕", label: "→" };
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const handle = (event, act) => { event.preventDefault(); event.stopPropagation(); act(); };

// How many items each class has in the splits that are shown; a click on a bar shows the class.
const balance = (view, classes, wide, go) => {
  const splits = view.shown.split === "all" ? ["train", "valid", "test"] : [view.shown.split];
  const counts = classes.names.map((_, at) => splits.reduce((sum, split) => sum + classes.counts[split][at], 0));
  const most = Math.max(...counts, 1), step = wide / counts.length, named = step > 22, gap = step < 6 ? 0 : Math.min(2, step / 8);
  const least = Math.min(...counts), base = named ? 54 : 64;
  const text = `Class balance in ${splits.join(", ")}: ${least === most ? most : `${least} to ${most}`} items a class.`;
  return el("figure", { class: "nbt-balance" },
    pictureOf(wide, 70, { "aria-label": text },
      ...counts.map((count, at) => {
        const high = (36 * count) / most, middle = (at + 0.5) * step;
        return svg("g", { class: at === view.shown.label ? "nbt-on" : "", onclick: () => go({ label: at === view.shown.label ? -1 : at, page: 1 }) },
          svg("title", { text: `${classes.names[at]}: ${count}` }),
          svg("rect", { class: "nbt-hit", x: at * step, y: 0, width: step, height: 70 }),
          svg("rect", { class: "nbt-bar", x: at * step + gap, y: base - high, width: step - 2 * gap, height: high }),
          ...(named ? [label(middle, base - high - 4, count, "middle"),
            label(middle, 67, cut(classes.names[at], Math.floor(step / 7)), "middle")] : []));
      })),
    el("figcaption", { text: view.shown.label < 0 ? text : `${text} Shown: ${classes.names[view.shown.label]}.` }));
};

const content = (drawn) => {
  if (!drawn) return el("span", { class: "nbt-wait", text: "…" });
  if (drawn.src) return el("img", { src: drawn.src, alt: "", draggable: "false" });
  if (drawn.row) return el("span", { class: "nbt-cells" }, ...drawn.row.slice(0, 6).map(([name, value]) =>
    el("span", {}, el("i", { text: `${name} ` }), value)));
  return el("span", { class: "nbt-cannot", text: "cannot be drawn" });
};

const spoken = (tile) => [tile.id, tile.split, `labelled ${tile.label}`, tile.told && `marked: ${tile.told}`,
  tile.read && `read as ${tile.read}`, tile.loss && `loss ${tile.loss}`, tile.same && "has a copy",
  tile.conflict && "labels of copies differ"].filter(Boolean).join(", ");

const tileOf = (view, tile, at, drawn) => el("div", {
  class: `nbt-tile ${tile.what ? `nbt-${tile.what}` : ""}`, role: "option", tabindex: -1, "data-key": `tile-${at}`,
  "data-item": tile.id, "aria-label": spoken(tile), "aria-selected": "false",
  "aria-setsize": view.total, "aria-posinset": (view.shown.page - 1) * view.each + at + 1, title: spoken(tile) },
  content(drawn),
  el("span", { class: "nbt-under" },
    el("span", { class: tile.what === "label" ? "nbt-was" : "", text: cut(tile.label, 12) }),
    ...(tile.what ? [el("b", { text: tile.what === "label" ? `${SIGNS.label} ${cut(tile.told.slice(3), 10)}` : `${SIGNS.exclude} out` })]
      : tile.read ? [el("span", { class: "nbt-read", text: `reads ${cut(tile.read, 10)}` })] : [])),
  ...(tile.same ? [el("span", { class: "nbt-same", text: tile.conflict ? "copy ≠" : "copy" })] : []));

// The item under the cursor, large, with all that is known of it and what can be done.
const detail = (model, view, tile, drawn, names) => {
  if (!tile) return el("p", { class: "nbt-hint", text: "No item to show here." });
  const test = tile.split === "test" ? "The test split is not marked here." : "";
  const acts = (word, act, values, name) => button(model, word, act, { values, always: true, off: test, name });
  const facts = [["id", tile.id], ["split", tile.split], ["label", tile.label], ["mark", tile.told], ["loss", tile.loss],
    ["reads", tile.read], ["copy of", tile.same], ["not drawn", drawn?.cannot], ...(drawn?.row ?? [])].filter(([, value]) => value);
  const now = tile.what === "label" ? tile.told.slice(3) : tile.label;
  const choose = choice("It is", "class", names, now, (name) => ask(model, "mark", tile.id, name), { off: test });
  return el("div", { class: "nbt-detail" },
    ...(drawn?.src ? [el("img", { src: drawn.src, alt: `Item ${tile.id}`, class: "nbt-large" })] : []),
    el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })])),
    el("div", { class: "nbt-acts" }, choose,
      ...(tile.read && tile.read !== now ? [acts(`Is ${cut(tile.read, 16)}`, "mark", [tile.id, tile.read], "is")] : []),
      tile.what === "exclude" ? acts("Keep", "clear", [tile.id], "out") : acts("Leave out", "exclude", [tile.id], "out"),
      ...(tile.what === "label" ? [acts("No mark", "clear", [tile.id], "none")] : [])),
    ...(test ? [el("p", { class: "nbt-hint", text: test })] : []));
};

const difference = (edit) => (edit ? [el("div", { class: "nbt-edit", role: "region", "aria-label": "What would change", tabindex: 0, "data-key": "edit" },
  el("p", {}, el("b", { text: "Would change: " }), edit.sentence),
  ...(edit.rows.length ? [el("ul", {}, ...edit.rows.map(([item, split, now, what, label]) =>
    el("li", { text: `${split} ${item}: ${now} ${what === "label" ? `→ ${label}` : "left out"}` })))] : []),
  el("p", { class: "nbt-hint" }, "Nothing is changed here. For the new task run ", el("code", { text: "task = task.edited(browser.marks)" })))] : []);

// Arrow keys in a grid whose number of columns depends on its width.
const moves = (grid, at, key) => {
  const tiles = [...grid.children], top = (node) => node.offsetTop, last = tiles.length - 1;
  const columns = Math.max(1, tiles.filter((node) => top(node) === top(tiles[0])).length);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: last }[key];
  return to === undefined ? undefined : to < 0 || to > last ? at : to;
};

export default panel("data", "Items", (model, { picture, buttons, view, box }) => {
  const { shown, tiles } = view, classes = model.get("classes"), drawn = model.get("pictures");
  const now = () => JSON.stringify(model.get("view").shown), wanted = () => JSON.parse(aim(model, "show", now()));
  const go = (change) => {
    const to = { ...wanted(), ...change };
    aim(model, "show", now(), JSON.stringify(to));
    ask(model, "show", { ...to, label: to.label < 0 ? null : classes.names[to.label] });
  };
  const grid = el("div", { class: `nbt-grid ${tiles.some((tile) => drawn[tile.id]?.row) ? "nbt-lines" : ""}`, role: "listbox",
    "aria-label": `Items, page ${shown.page} of ${view.pages}` },
    ...tiles.map((tile, at) => tileOf(view, tile, at, drawn[tile.id])));
  const beside = el("div", { class: "nbt-beside" });
  const point = (at, focus) => {
    box.at = Math.max(0, Math.min(tiles.length - 1, at));
    [...grid.children].forEach((node, place) => {
      node.setAttribute("aria-selected", String(place === box.at));
      node.tabIndex = place === box.at ? 0 : -1;
    });
    const tile = tiles[box.at];
    beside.replaceChildren(detail(model, view, tile, tile && drawn[tile.id], classes.names));
    if (focus) grid.children[box.at]?.focus({ preventScroll: focus === "click" });
  };
  grid.addEventListener("click", (event) => {
    const node = event.target.closest(".nbt-tile");
    if (node) point([...grid.children].indexOf(node), "click");
  });
  const tile = () => tiles[box.at];
  const page = (step) => { const to = wanted().page + step; if (to >= 1 && to <= view.pages) go({ page: to }); };
  const keys = {
    Delete: () => tile().split !== "test" && ask(model, tile().what === "exclude" ? "clear" : "exclude", tile().id),
    Enter: () => beside.querySelector("select")?.focus(),
    PageDown: () => page(1), PageUp: () => page(-1), Escape: () => grid.children[box.at]?.focus(),
  };
  grid.addEventListener("keydown", (event) => {
    const to = moves(grid, box.at, event.key);
    if (to !== undefined) handle(event, () => point(to, "key"));
    else if ((event.ctrlKey || event.metaKey) && "zy".includes(event.key.toLowerCase()))
      handle(event, () => ask(model, event.key.toLowerCase() === "y" || event.shiftKey ? "redo" : "undo"));
    else if (keys[event.key] && tile()) handle(event, keys[event.key]);
  });
  beside.addEventListener("keydown", (event) => { if (event.key === "Escape") handle(event, keys.Escape); });
  const words = { train: "train", valid: "valid", test: "test", all: "all splits", split: "as in the split", loss: "loss, highest first" };
  const named = (options) => options.map((word) => [word, words[word] ?? word]);
  const only = { all: "all items", marked: `marked (${view.marks})`, copies: "with a copy", conflicts: "copies whose labels differ" };
  const balanceAt = el("div");
  const input = el("input", { type: "checkbox", "data-key": "input", checked: shown.as_input ? "" : undefined,
    disabled: view.model ? undefined : "", "aria-disabled": model.get("busy") ? "true" : undefined,
    onchange: (event) => { if (model.get("busy")) event.target.checked = shown.as_input; else go({ as_input: event.target.checked }); } });
  const turn = (word, step, off) => button(model, word, () => page(step), { always: true, name: `page${step}`, off: off ? "There is no such page." : "" });
  picture.replaceChildren(
    el("div", { class: "nbt-choices" },
      choice("Split", "split", named(view.options.split), shown.split, (split) => go({ split, page: 1, by: split === "test" ? "split" : shown.by })),
      choice("Class", "label", [[-1, "every class"], ...classes.names.map((name, at) => [at, name])], shown.label, (at) => go({ label: Number(at), page: 1 })),
      choice("Show", "only", view.options.only.map((word) => [word, only[word]]), shown.only, (word) => go({ only: word, page: 1 })),
      ...(view.model && shown.split !== "test" ? [choice("Order", "by", named(view.options.by), shown.by, (by) => go({ by, page: 1 }))] : []),
      el("label", { title: view.model ? model.get("busy") : "Needs a model: DataBrowser(task, tuner)" }, input, " as the model gets it")),
    balanceAt,
    ...(shown.as_input ? [el("p", { class: "nbt-hint", text: view.input })] : []),
    el("div", { class: "nbt-both" }, el("div", { class: "nbt-side" }, grid, beside)),
    el("div", { class: "nbt-pages" }, turn("Previous", -1, shown.page <= 1),
      el("span", { text: `page ${shown.page} of ${view.pages}, ${view.total.toLocaleString("en")} items` }), turn("Next", 1, shown.page >= view.pages),
      el("span", { class: "nbt-hint", text: "Arrow keys move, Delete leaves out, Enter chooses a class, Ctrl+Z undoes." })),
    ...difference(view.edit),
    tables(["The items on this page", ["item", "split", "label", "mark", "loss", "read as", "same as"],
      tiles.map((one) => [one.id, one.split, one.label, one.told, one.loss, one.read, one.same])],
      ["Items by class", ["class", ...Object.keys(classes.counts)], () => classes.names.map((name, at) =>
        [name, ...Object.values(classes.counts).map((counts) => counts[at])])]));
  point(box.at ?? 0);
  box.setAttribute("aria-label", view.title); // two of them on a page are told apart
  const [back, again] = view.steps;
  buttons.replaceChildren(
    button(model, "Undo", "undo", { always: true, off: back ? "" : "No mark was made yet." }),
    button(model, "Redo", "redo", { always: true, off: again ? "" : "Nothing was undone." }),
    ...(model.get("busy").includes("item_losses") ? [button(model, "Stop", "stop", { always: true })] : []),
    button(model, `Preview ${view.marks} mark${view.marks === 1 ? "" : "s"}`, "preview", { primary: true, always: true, name: "preview",
      off: view.marks ? "" : "There are no marks." }));
  return () => balanceAt.replaceChildren(balance(view, classes, Math.max(200, picture.clientWidth), go));
});
