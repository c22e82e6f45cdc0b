"use strict";

// What all parts of the page are made of: text, elements, sections, tables, and the search in them.

const report = JSON.parse(document.getElementById("report").textContent);
const ROWS = 200; // of a table that are shown at first

// -- text: what an image says is shown, and never acted on --

const escaped = (char) => {
  const code = char.codePointAt(0);
  const digits = code.toString(16);
  return code < 256 ? "\\x" + digits.padStart(2, "0") : "\\u" + digits.padStart(4, "0");
};
const printable = (text) => String(text).replace(/[\p{C}\p{Z}]/gu, (char) => (char === " " ? char : escaped(char)));
const words = (name) => String(name).replaceAll("_", " ");
const hex = (number) => (number === null || number === undefined ? "" : "0x" + BigInt(number).toString(16));
const counted = (count, one, many) => `${count} ${count === 1 ? one : many || one + "s"}`;

function human(bytes) {
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  const value = Number(bytes);
  const power = Math.min(Math.floor(Math.log2(Math.max(value, 1)) / 10), units.length);
  if (power < 1) return counted(value, "byte");
  const short = Number((value / 1024 ** power).toPrecision(4));
  return `${short * 1024 ** power === value ? "" : "about "}${short} ${units[power - 1]}`;
}
const full = (bytes) => (bytes < 1024 ? human(bytes) : `${human(bytes)} (${bytes} bytes)`);
const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "");

const endOf = (start, length) => hex(BigInt(start) + BigInt(length));
const place = (start, length) => `${hex(start)} to ${endOf(start, length)}, ${human(length)}`;

function node(name, attributes = {}, ...children) {
  const made = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat().map((child) => (child instanceof Node ? child : printable(child))));
  return made;
}

// -- sections and tables --

let section;
function begin(id, title) {
  section = node("section", { id, "aria-labelledby": id + "-title" }, node("h2", { id: id + "-title" }, title));
  document.getElementById("main").append(section);
  document.getElementById("sections").append(node("li", {}, node("a", { href: "#" + id }, title)));
}
const add = (...children) => section.append(...children);
const say = (text, kind = "") => add(node("p", { class: kind }, text));

const filters = []; // functions of what is searched for, which return how many they show
function table(caption, heads, rows) {
  if (!rows.length) return;
  const right = heads.map((head) => head.startsWith(">"));
  const body = node("tbody");
  const button = node("button", { type: "button" }, `Show all ${rows.length} rows`);
  const cell = (text, column) =>
    node(
      column ? "td" : "th",
      {
        class: (right[column] ? "n " : "") + (/^(0x[0-9a-f]+|[0-9a-f-]{36})$/.test(text) ? "code" : ""),
        ...(!column && { scope: "row" }),
      },
      text ?? ""
    );
  let most = ROWS;
  const show = (wanted) => {
    const found = rows.filter((row) => printable(row.join(" ")).toLowerCase().includes(wanted));
    body.replaceChildren(...found.slice(0, most).map((row) => node("tr", {}, row.map(cell))));
    button.hidden = found.length <= most;
    box.hidden = !found.length;
    return found.length;
  };
  const head = heads.map((name, column) =>
    node("th", { scope: "col", ...(right[column] && { class: "n" }) }, name.replace(">", ""))
  );
  const box = node(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    node("table", {}, node("caption", {}, caption), node("thead", {}, node("tr", {}, head)), body),
    button
  );
  button.addEventListener("click", () => {
    most = Infinity;
    show(document.getElementById("find").value.toLowerCase());
  });
  show("");
  filters.push(show);
  add(box);
}
// A table of some things: what stands in each column is said by a function of its name.
const list = (caption, things, columns) =>
  table(
    caption,
    Object.keys(columns),
    things.map((thing) => Object.values(columns).map((of) => of(thing)))
  );

function search() {
  const wanted = document.getElementById("find").value.toLowerCase();
  const found = filters.reduce((sum, show) => sum + show(wanted), 0);
  document.getElementById("found").textContent = wanted && counted(found, "row");
}
