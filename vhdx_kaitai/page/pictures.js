// -- pictures: a slider, whose places are told as text --

function explorable(picture, label, items, choose) {
  let at = 0;
  const told = node("output", { "aria-live": "polite" }, "Click, or use the arrow keys, to see what is where.");
  const go = (index) => {
    at = Math.max(0, Math.min(items.length - 1, index));
    choose(at);
    told.textContent = printable(items[at].text);
    picture.setAttribute("aria-valuenow", at);
    picture.setAttribute("aria-valuetext", told.textContent);
  };
  const attributes = {
    role: "slider",
    tabindex: 0,
    "aria-label": label,
    "aria-valuemin": 0,
    "aria-valuenow": 0,
    "aria-valuemax": Math.max(0, items.length - 1),
    "aria-valuetext": "nothing is chosen",
  };
  for (const [key, value] of Object.entries(attributes)) picture.setAttribute(key, value);
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  picture.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    go(at + steps[event.key]);
  });
  return [node("figure", {}, picture, told), go];
}

function legend(kinds) {
  const entries = kinds.map(({ color, text }) => {
    const swatch = node("i");
    swatch.style.background = color;
    return node("li", {}, swatch, text);
  });
  add(node("ul", { class: "legend" }, entries));
}

// All cells one by one: offset, length, and how many bytes of which kind.
function spread({ cell_length, cells }, size) {
  const all = [];
  for (const { count, bytes } of cells)
    for (let i = 0; i < count; i++) {
      const start = all.length * cell_length;
      all.push({ start, length: Math.min(cell_length, size - start), bytes });
    }
  return all;
}

// -- the layout of a file as a bar --

const COLORS = {
  headers: "#4c5a9e",
  log: "#c77d17",
  metadata: "#8e5bb5",
  bat: "#2f6fbf",
  region: "#5b8c94",
  sector_bitmap: "#57a3d9",
  payload: "#2e9b6c",
  kept: "#a9c47f",
  several: "#c62828",
  nothing: "#b4b9be",
  unknown: "#8a8f94",
  past: "#5c1010",
};
const NAMES = {
  bat: "BAT",
  kept: "kept by blocks without data",
  payload: "payload blocks",
  several: "claimed more than once",
  nothing: "nothing refers to it",
  unknown: "not known",
  past: "past the end",
  sector_bitmap: "sector bitmaps",
};
const nameOf = (kind) => NAMES[kind] || words(kind);

function bar(label, pieces) {
  const whole = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const width = 1000 + 4 * pieces.length;
  const picture = node("svg:svg", {
    class: "picture",
    viewBox: `0 0 ${width} 60`,
    preserveAspectRatio: "none",
    height: 72,
    "shape-rendering": "crispEdges",
  });
  let x = 0;
  const shapes = pieces.map((piece, index) => {
    const wide = 4 + (1000 * piece.length) / (whole || 1);
    const group = node("svg:g");
    let y = 0;
    for (const [kind, part] of piece.kinds) {
      const high = Math.max(1, 60 * part);
      group.append(node("svg:rect", { x, y, width: wide, height: high, fill: COLORS[kind] }));
      y += high;
    }
    x += wide;
    group.addEventListener("click", () => go(index));
    picture.append(group);
    return group;
  });
  const [figure, go] = explorable(picture, label, pieces, (index) => {
    shapes.forEach((shape, other) => shape.classList.toggle("chosen", other === index));
  });
  add(figure);
}

// -- the disk as a grid of cells --

const LEVELS = ["#2f6fbf", "#d9822b", "#2e9b6c", "#8e5bb5", "#b8405e", "#7a6a2b"];
const EMPTY = { not_present: "#d5dade", zero: "#b4b9be", unmapped: "#cfc49a", undefined: "#c4b1d1" };
function colorOf({ kind, state, depth }) {
  if (kind === "lost") return "#c62828";
  if (kind === "parent") return "#5c636a";
  if (kind === "zero") return EMPTY[state] || EMPTY.zero;
  return LEVELS[depth % LEVELS.length] + (state === "partially_present" ? "b0" : "");
}

function grid(label, cells, colors) {
  const canvas = node("canvas", { class: "picture" });
  const pen = canvas.getContext("2d");
  let [columns, side, chosen] = [1, 1, -1];
  const paint = () => {
    const wide = canvas.clientWidth || 800;
    side = Math.max(3, Math.min(36, Math.floor(Math.sqrt((wide * 400) / cells.length))));
    columns = Math.max(1, Math.floor(wide / side));
    canvas.width = wide;
    canvas.height = Math.ceil(cells.length / columns) * side;
    canvas.style.height = canvas.height + "px";
    cells.forEach(({ length, bytes }, index) => {
      const x = (index % columns) * side;
      const edge = side > 5 ? 1 : 0;
      let y = Math.floor(index / columns) * side;
      for (const [kind, part] of bytes) {
        const high = ((side - edge) * part) / length;
        pen.fillStyle = colors[kind];
        pen.fillRect(x, y, side - edge, high);
        y += high;
      }
    });
    if (chosen < 0) return;
    pen.strokeStyle = getComputedStyle(canvas).color;
    pen.lineWidth = 3;
    pen.strokeRect((chosen % columns) * side, Math.floor(chosen / columns) * side, side, side);
  };
  const [figure, go] = explorable(canvas, label, cells, (index) => {
    chosen = index;
    paint();
  });
  canvas.addEventListener("click", (event) => {
    const index = Math.floor(event.offsetY / side) * columns + Math.floor(event.offsetX / side);
    if (index < cells.length) go(index);
  });
  new ResizeObserver(() => canvas.clientWidth !== canvas.width && paint()).observe(canvas);
  add(figure);
}

// -- the log as a ring --

const SORTS = { active: "#2f6fbf", "valid, not used": "#2e9b6c", stale: "#7d858d", "not valid": "#c62828" };
function sortOf({ active, valid, rule }) {
  if (active) return "active";
  if (valid) return "valid, not used";
  return rule === "LOG-14" ? "stale" : "not valid";
}

function arc(from, to, inner, outer, attributes) {
  const point = (turn, radius) =>
    `${(radius * Math.sin(2 * Math.PI * turn)).toFixed(2)} ${(-radius * Math.cos(2 * Math.PI * turn)).toFixed(2)}`;
  const end = Math.min(Math.max(to, from + 0.004), from + 0.9999);
  const large = end - from > 0.5 ? 1 : 0;
  return node("svg:path", {
    ...attributes,
    d:
      `M${point(from, outer)}A${outer} ${outer} 0 ${large} 1 ${point(end, outer)}` +
      `L${point(end, inner)}A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}Z`,
  });
}

function ring(log) {
  const attributes = { class: "picture ring", viewBox: "-140 -120 280 240" };
  const picture = node("svg:svg", attributes, arc(0, 1, 60, 95, { fill: "#8884" }));
  const shapes = log.entries.map((entry, index) => {
    const shape = arc(entry.offset / log.length, (entry.offset + entry.length) / log.length, 60, 95, {
      fill: SORTS[sortOf(entry)],
    });
    shape.addEventListener("click", () => go(index));
    picture.append(shape);
    return shape;
  });
  const label = (text, offset, inner, radius) => {
    const turn = (2 * Math.PI * offset) / log.length;
    const [x, y] = [radius * Math.sin(turn), 4 - radius * Math.cos(turn)];
    const looks = { "font-size": 10, "text-anchor": "middle", fill: "currentColor" };
    const mark = arc(offset / log.length, 0, inner, inner + 9, { fill: "currentColor" });
    picture.append(mark, node("svg:text", { x, y, ...looks }, text));
  };
  const active = log.entries.filter((entry) => entry.active);
  if (active.length) {
    const last = active.reduce((one, two) => (BigInt(two.sequence_number) > BigInt(one.sequence_number) ? two : one));
    label("tail", last.tail, 51, 42);
    label("head", (last.offset + last.length) % log.length, 95, 118);
  }
  const items = log.entries.map((entry) => {
    const where = `${place(entry.offset, entry.length)} of the log, ${counted(entry.descriptors, "descriptor")}`;
    return { text: `sequence number ${entry.sequence_number}, ${sortOf(entry)}: ${where}` };
  });
  const name = "The log as a ring, which begins at the top and goes clockwise";
  const [figure, go] = explorable(picture, name, items, (index) => {
    shapes.forEach((shape, other) => shape.classList.toggle("chosen", other === index));
  });
  add(figure);
  legend(Object.entries(SORTS).map(([text, color]) => ({ color, text })));
}
