// Paper to draw on, what the model sees of it, and what it takes it for.
const PEN = 0.08; // of the paper's longer side

const paper = (model) => {
  const canvas = el("canvas", { class: "nbt-paper", role: "img",
    "aria-label": "Paper to draw on with mouse, pen or finger. With the keyboard alone, choose a file." });
  const pen = canvas.getContext("2d", { willReadFrequently: true }), me = Math.random().toString(36).slice(2);
  let shown = null, last = null, waiting = 0, again = false;
  let ground = ""; // what is drawn on now: the view may be of other paper already
  const blank = () => {
    ground = model.get("view").paper;
    pen.fillStyle = ground === "dark" ? "#000" : "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
  };
  const tell = () => { again = false; ask(model, "draw", canvas.toDataURL("image/png"), me, ground); };
  const settle = () => { if (again) tell(); }; // before another act: it is about all that was drawn
  const send = () => { // one question at a time: strokes come faster than answers
    if (waiting) { again = true; return; }
    const after = due(model), began = Date.now();
    tell();
    const look = () => {
      const wait = model.get("answered") < after && Date.now() - began < SILENCE;
      waiting = wait ? setTimeout(look, 40) : 0;
      if (!wait && again) send();
    };
    waiting = setTimeout(look, 40);
  };
  const place = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [(event.clientX - left) * canvas.width / width, (event.clientY - top) * canvas.height / height];
  };
  const stroke = (to) => {
    const ink = ground === "dark" ? "#fff" : "#000", lineWidth = PEN * Math.max(canvas.width, canvas.height);
    Object.assign(pen, { strokeStyle: ink, lineWidth, lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(to[0] + 0.01, to[1]); // a line without a length has no ends, and a dot is one
    pen.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    if (!model.get("view").drawing) blank(); // a picture is not drawn upon
    last = place(event);
    stroke(last);
    send();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    [...(event.getCoalescedEvents?.() ?? []), event].forEach((one) => stroke(place(one)));
    send();
  });
  const up = () => { if (last) { last = null; send(); } };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  const clear = () => { blank(); shown = model.get("view").paper; again = false; ask(model, "clear"); };
  const show = (view) => { // what another view, a file or code put there
    const key = view.paper + view.picture;
    if (view.by === me && shown !== null) shown = key;
    if (key === shown || last) return;
    if (again) { tell(); return; } // a stroke of which the kernel has not heard: it is shown with it
    shown = key;
    [canvas.width, canvas.height] = view.wide;
    blank();
    if (!view.picture) return;
    const image = new Image();
    image.onload = () => {
      if (shown !== key) return;
      const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
      const [wide, high] = [image.width * scale, image.height * scale];
      pen.imageSmoothingEnabled = scale < 1;
      pen.drawImage(image, (canvas.width - wide) / 2, (canvas.height - high) / 2, wide, high);
    };
    image.src = view.picture;
  };
  return { canvas, show, clear, settle };
};

const files = (model, box) => {
  const take = (file) => {
    if (!file) return;
    box.pad.settle();
    if (file.size > model.get("view").most) { ask(model, "refuse", file.name, file.size); return; }
    const reader = new FileReader();
    reader.onload = () => ask(model, "put", file.name, reader.result);
    reader.readAsDataURL(file);
  };
  const over = (event) => {
    event.preventDefault();
    event.stopPropagation();
    box.classList.toggle("nbt-over", event.type === "dragover");
  };
  ["dragenter", "dragover", "dragleave", "drop"].forEach((name) => box.addEventListener(name, over));
  box.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
  return el("input", { type: "file", accept: "image/*", hidden: "", "aria-label": "A picture's file",
    onchange: (event) => { take(event.target.files[0]); event.target.value = ""; } });
};

const bars = ({ rows, left }) => (!rows.length ? [el("p", { class: "nbt-hint", text: "No prediction yet." })]
  : [el("table", { class: "nbt-bars" }, el("caption", { text: "Prediction" }), el("tbody", {}, ...rows.map(([name, share, text]) =>
    el("tr", {}, el("th", { scope: "row", text: name, title: name }),
      ...(share === null ? [] : [el("td", {}, el("div", { class: "nbt-bar", style: `width: ${(100 * share).toFixed(1)}%` }))]),
      el("td", { text }))))),
  ...(left ? [el("p", { class: "nbt-hint", text: `and ${left.toLocaleString("en")} more, none of them higher` })] : [])]);

const begin = (model, picture, box) => {
  const later = (act, ...values) => { pad.settle(); ask(model, act, ...values); };
  const [sees, said, notes] = ["figure", "div", "div"].map((tag, at) => el(tag, { class: ["nbt-sees", "nbt-answer", "nbt-notes"][at] }));
  const pad = (box.pad = { ...paper(model), file: files(model, box), sees, said, notes, later });
  pad.fit = el("input", { type: "checkbox", "data-key": "fit", onchange: (event) => later("cut", event.target.checked) });
  picture.replaceChildren(el("div", { class: "nbt-pad" },
    el("div", {}, pad.canvas, el("label", {}, pad.fit, " Cut out and centre a drawing")), sees, said), notes, pad.file);
  return pad;
};

export default panel("sketchpad", "Sketchpad", (model, { picture, buttons, view, box }) => {
  const pad = box.pad ?? begin(model, picture, box), nothing = view.sees ? "" : "Nothing was drawn yet.";
  box.setAttribute("aria-label", view.title);
  pad.show(view);
  pad.fit.checked = view.fit;
  pad.sees.replaceChildren(view.sees ? el("img", { src: view.sees, alt: `What the model sees: ${view.input}` }) : el("div", { class: "nbt-wait" }),
    el("figcaption", { text: `What the model sees: ${view.input}` }));
  pad.said.replaceChildren(...bars(view));
  pad.notes.replaceChildren(...(view.unlike ? [el("p", { class: "nbt-unlike" }, el("b", { text: "Unlike its data. " }), view.unlike)] : []),
    el("p", { class: "nbt-hint", text: view.note }));
  buttons.replaceChildren(
    button(model, "Choose a file…", () => pad.file.click(), { always: true, name: "file" }),
    button(model, "Invert", () => pad.later("invert"), { always: true }),
    button(model, "Save picture", () => pad.later("save"), { always: true, off: nothing }),
    button(model, "Clear", pad.clear, { always: true, off: nothing }));
});
