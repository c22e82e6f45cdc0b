// The parsed tree of the Kaitai Web IDE, without a browser.
//
// The IDE compiles the grammar with the JavaScript compiler in debug mode, reads the file with the
// JavaScript runtime, and shows an object tree in which instances are read when they are clicked.
// This program does the same and answers questions about the tree. Where the IDE decides
// something, it is decided here as there:
//
// * a value instance is computed when its object is shown, any other instance when it is clicked;
//   `-webide-parse-mode` says otherwise. "Disable lazy parsing" (eager) reads everything at once;
// * getters are asked in the order of the generated code, so what the one loads the next one has;
// * an instance that fails is asked once more, and what it had read until then is shown;
// * `-webide-representation` of a type makes the text beside an object. It sees only what has been
//   loaded; what it does not see leaves an empty space. What was clicked keeps its bare name.
//
// Usage: node panel.js GRAMMAR, with `build/webide/node_modules` in NODE_PATH. One request per line
// on standard input, one answer per line on standard output, all JSON:
//
//   {"image": PATH, "eager": BOOL, "open": [PATH, ...] | "all", "limit": N}
//
// The answer is {"nodes": [...]}, the tree from top to bottom, or {"failure": TEXT}. Only what is in
// `open` (the grammar's names, as in "metadata.items") is opened, and what lies above it. No more
// than `limit` elements of an array are visited, half of them from its end.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const readline = require('readline');
const KaitaiStream = require('kaitai-struct/KaitaiStream');
const compiler = require('kaitai-struct-compiler');
const yaml = require('js-yaml');

const LONG = 64; // of more bytes than this an answer has the hash
const HUGE = 1 << 20; // of more than this, only their number

// --- Names ---

const upperFirst = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const fieldName = (name) => name.split('_').map((word, i) => (i ? upperFirst(word) : word)).join('');
const className = (name) => name.split('_').map(upperFirst).join('');

/** Every type by its class: its description, its instances, and the grammar's name of each member. */
function describe(grammar) {
  const types = {};
  for (const [name, spec] of [[grammar.meta.id, grammar], ...Object.entries(grammar.types)]) {
    const instances = {};
    const names = {};
    for (const { id } of [...(spec.params || []), ...(spec.seq || [])]) names[fieldName(id)] = id;
    for (const [id, instance] of Object.entries(spec.instances || {})) {
      names[fieldName(id)] = id;
      instances[fieldName(id)] = instance;
    }
    types[className(name)] = { name, spec, instances, names };
  }
  return types;
}

// --- The tree ---

class Panel {
  constructor(program, types, image, eager) {
    const bytes = new Uint8Array(fs.readFileSync(image)); // a copy of its own, that begins at 0
    this.program = program;
    this.types = types;
    this.eager = eager;
    const root = new program.Vhdx(new KaitaiStream(bytes.buffer, 0));
    let failure;
    try {
      root._read();
    } catch (error) {
      failure = error;
    }
    const place = { start: 0, end: bytes.length, ioOffset: 0, incomplete: failure !== undefined };
    this.root = this.export(root, place, false, null, '');
    this.root.error = failure;
  }

  export(value, debug, isRaw, parent, name) {
    if (debug && !('incomplete' in debug)) {
      debug.incomplete = debug.start !== undefined && debug.end === undefined;
    }
    const node = { value, debug, parent, name, kind: kindOf(value) };
    if (debug && debug.enumName !== undefined) node.label = this.label(debug.enumName, value);
    if (node.kind === 'array') {
      const places = (debug && debug.arr) || [];
      node.elements = value.map((element, i) => this.export(element, places[i], isRaw, node, i));
      if (debug && debug.incomplete) debug.end = lastEnd(places);
    } else if (node.kind === 'object') {
      this.exportObject(node, debug, isRaw);
    }
    return node;
  }

  exportObject(node, debug, isRaw) {
    const object = node.value;
    const places = object._debug || {};
    const type = this.types[object.constructor.name];
    node.type = type;
    node.fields = {};
    node.closed = [];
    const own = new Set([...Object.keys(object), ...Object.keys(places)]);
    for (const key of own) {
      if (key.startsWith('_')) continue;
      node.fields[key] = this.export(object[key], places[key], own.has(`_raw_${key}`), node, key);
    }
    if (debug && debug.incomplete) {
      const known = [...own].filter((key) => !key.startsWith('_')).map((key) => places[key]);
      debug.end = isRaw ? debug.start + object._io.size : lastEnd(known);
    }
    for (const key of Object.getOwnPropertyNames(Object.getPrototypeOf(object))) {
      if (key.startsWith('_') || key === 'constructor') continue;
      const spec = type.instances[key];
      const mode = spec['-webide-parse-mode'];
      const isEager = mode === 'eager' || (mode !== 'lazy' && 'value' in spec);
      if (`_m_${key}` in object || isEager || this.eager) this.fetch(node, key);
      else node.closed.push(key);
    }
  }

  /** Read an instance, as on a click. */
  fetch(node, key) {
    const object = node.value;
    let value;
    let error;
    try {
      value = object[key];
    } catch (first) {
      error = first;
      try {
        value = object[key];
      } catch (second) {
        // It has failed for good.
      }
    }
    const isRaw = `_raw__m_${key}` in object;
    const field = this.export(value, object._debug[`_m_${key}`], isRaw, node, key);
    field.error = error;
    node.fields[key] = field;
    node.closed = node.closed.filter((other) => other !== key);
    return field;
  }

  /** The name of an enum's value; a value that has none may look like a set of flags. */
  label(path, value) {
    const labels = path.split('.').reduce((found, step) => found[step], { Vhdx: this.program.Vhdx });
    if (labels[value]) return labels[value];
    let seen = 0;
    const flags = [];
    for (const name of Object.keys(labels).filter((key) => Number.isNaN(Number(key)))) {
      if (seen & labels[name]) return undefined;
      seen |= labels[name];
      if (value & labels[name]) flags.push(name);
    }
    return flags.join('|') || undefined;
  }
}

function kindOf(value) {
  if (value === undefined) return 'nothing';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'array';
  return value !== null && typeof value === 'object' ? 'object' : 'primitive';
}

function lastEnd(places) {
  const ends = places.map((place) => place && place.end).filter((end) => end !== undefined);
  return ends.length ? Math.max(...ends) : undefined;
}

// --- Texts ---

const hex = (number) => `${number < 0 ? '-' : ''}0x${Math.abs(number).toString(16).toUpperCase()}`;
const hexBytes = (bytes) => Buffer.from(bytes).toString('hex');

function uuid(bytes, isMicrosoft) {
  const order = isMicrosoft ? [3, 2, 1, 0, 5, 4, 7, 6] : [0, 1, 2, 3, 4, 5, 6, 7];
  const text = hexBytes([...order.map((i) => bytes[i]), ...bytes.slice(8)]);
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function plainText(node, isDetailed) {
  if (node.kind === 'nothing') return '<no value>';
  if (node.kind === 'bytes') {
    return `[${[...node.value.slice(0, 8)].join(', ')}${node.value.length > 8 ? ', ...' : ''}]`;
  }
  if (!Number.isInteger(node.value)) return String(node.value);
  const number = hex(node.value) + (isDetailed ? ` = ${node.value}` : '');
  if (node.label === undefined) return number;
  return node.label + (isDetailed ? ` (${number})` : '');
}

function representation(node) {
  const text = node.type.spec['-webide-representation'];
  if (!text) return '';
  return text.replace(/\{(.*?)\}/g, (_, place) => {
    const [path, options = ''] = place.split(':');
    const found = path.split('.').reduce(step, node);
    return found ? formatted(found, Object.fromEntries(options.split(',').map(option))) : '';
  });
}

function step(node, name) {
  if (!node || !node.fields) return null;
  if (name === 'this') return node;
  return name === '_parent' ? node.parent : node.fields[fieldName(name)];
}

function option(text) {
  const [name, value = true] = text.split('=');
  return [name, value];
}

function formatted(node, options) {
  if (node.kind === 'object') {
    if (!options.flags) return representation(node);
    const set = Object.keys(node.fields).filter((key) => node.fields[key].value === true);
    return set.join('|') || '🚫';
  }
  if (node.kind === 'array') return node.elements.map(representation).join(options.sep || ', ');
  if (node.kind === 'bytes') {
    if (options.str) return `"${String.fromCharCode(...node.value)}"`;
    if (options.hex) return `0x${hexBytes(node.value)}`;
    if (options.uuid && node.value.length === 16) return uuid(node.value, options.uuid === 'ms');
  }
  if (options.dec && Number.isInteger(node.value)) return String(node.value);
  return plainText(node, false);
}

function textOf(node) {
  if (node.kind === 'array' || node.isClicked) return String(node.name);
  if (node.kind !== 'object') return `${node.name} = ${plainText(node, true)}`;
  const beside = representation(node);
  return `${node.name} [${node.value.constructor.name}]` + (beside ? `: ${beside}` : '');
}

// --- Answers ---

/** A value as JSON can hold it; numbers as text, because they may be any. */
function plainValue(node) {
  if (node.kind === 'bytes') {
    if (node.value.length > HUGE) return null;
    if (node.value.length <= LONG) return hexBytes(node.value);
    return crypto.createHash('sha256').update(node.value).digest('hex');
  }
  if (node.kind !== 'primitive') return null;
  return Number.isInteger(node.value) ? BigInt(node.value).toString() : node.value;
}

function* visit(panel, node, path, request, depth) {
  const place = node.debug;
  const failure = node.error || (place && place.validationError);
  const interruption = place && place.incomplete ? 'incomplete' : null;
  yield {
    path,
    depth,
    kind: node.kind,
    type: node.type ? node.type.name : null,
    text: depth < 0 ? '' : textOf(node),
    representation: node.type ? representation(node) : null,
    value: plainValue(node),
    length: node.elements ? node.elements.length : node.kind === 'bytes' ? node.value.length : null,
    start: place && place.start !== undefined ? place.ioOffset + place.start : null,
    end: place && place.end !== undefined ? place.ioOffset + place.end : null,
    error: failure ? `${failure.name}: ${failure.message}` : interruption,
  };
  const isOpen = (below) => request.opened === 'all' || request.opened.has(below);
  if (path !== '' && !isOpen(path)) return;
  if (node.kind === 'array') {
    const half = Math.ceil(request.limit / 2);
    for (const [i, element] of node.elements.entries()) {
      if (i >= half && i < node.elements.length - half) continue;
      yield* visit(panel, element, `${path}[${i}]`, request, depth + 1);
    }
  } else if (node.kind === 'object') {
    const below = (key) => (path ? `${path}.` : '') + (node.type.names[key] || key);
    const closed = node.closed;
    for (const key of Object.keys(node.fields)) {
      yield* visit(panel, node.fields[key], below(key), request, depth + 1);
    }
    for (const key of closed) {
      if (isOpen(below(key))) {
        const fetched = panel.fetch(node, key);
        fetched.isClicked = true;
        yield* visit(panel, fetched, below(key), request, depth + 1);
      } else {
        yield { path: below(key), depth: depth + 1, kind: 'closed', text: key };
      }
    }
  }
}

/** A path and all paths that lead to it. */
function wayTo(path) {
  return [...path.matchAll(/[.[]|$/g)].map((end) => path.slice(0, end.index));
}

function answer(program, types, request) {
  const panel = new Panel(program, types, request.image, request.eager);
  const opened = request.open === 'all' ? 'all' : new Set(request.open.flatMap(wayTo));
  return { nodes: [...visit(panel, panel.root, '', { opened, limit: request.limit }, -1)] };
}

async function main() {
  const text = fs.readFileSync(process.argv[2], 'utf8');
  const files = await compiler.compile('javascript', yaml.load(text), null, true);
  const program = {};
  new Function('exports', 'require', Object.values(files)[0])(program, require);
  const types = describe(yaml.load(text));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = answer(program, types, JSON.parse(line));
    } catch (error) {
      reply = { failure: error.stack };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

main();
