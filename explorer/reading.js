// A file as the compiled grammar reads it: a tree of nodes, each found by its path.
//
// Reading is synchronous, loading is not. A read of what is not loaded throws a page fault; the page
// is loaded, and what was interrupted is read again.

const MOST_FAULTS = 4096; // for one look
const MOST_SPANS = 1 << 20; // that the grammar has read and that are kept from look to look

/** A field, an element of an array, or the whole file. */
class FieldNode {
  constructor(path, name, field, value, place) {
    this.path = path;
    this.name = name;
    this.field = field;
    this.value = value;
    this.kind = kindOf(value);
    this.type = this.kind === 'object' ? TYPE_OF.get(value.constructor) : null;
    this.start = place && place.end !== undefined ? place.ioOffset + place.start : null;
    this.end = place && place.end !== undefined ? place.ioOffset + place.end : null;
    this.elements = (place && place.arr) || [];
    const isStructure = this.kind === 'object' || this.kind === 'array';
    if (isStructure && this.start === this.end) this.start = this.end = null; // without own bytes
  }
}

function kindOf(value) {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'number' || value instanceof Number) return 'number';
  if (value instanceof Span) return 'bytes';
  return Array.isArray(value) ? 'array' : typeof value;
}

class Reading {
  constructor(pages) {
    this.pages = pages;
    this.failures = new Map();
    this.nodes = new Map();
  }

  get size() {
    return this.pages.size;
  }

  /** Return what a function reads of this image, when all that takes is loaded. */
  async look(read) {
    this.trim();
    for (let faults = 0; faults <= MOST_FAULTS; faults++) {
      try {
        return read(this);
      } catch (fault) {
        if (!(fault instanceof PageFault)) throw fault;
        await this.pages.load(fault);
      }
    }
    throw new Error('this takes more of the file than is read at once');
  }

  /** Let go of what was read, where it is much. */
  trim() {
    this.pages.trim();
    if (this.pages.spans <= MOST_SPANS) return;
    this.pages.spans = 0;
    this.nodes.clear();
  }

  /** The node of a path such as `bat.chunks[0].payload_blocks[3].entry`; null when there is none. */
  node(path) {
    const known = this.nodes.get(path);
    if (known) return known;
    const node = path === '' ? this.root() : this.below(path);
    if (node) this.nodes.set(path, node);
    return node;
  }

  root() {
    const stream = new PagedStream(new Span(this.pages, 0, this.size));
    const root = new Vhdx(stream);
    try {
      root._read();
    } catch (error) {
      this.note('file_identifier', error);
    }
    return new FieldNode('', 'file', null, root, { start: 0, end: this.size, ioOffset: 0 });
  }

  below(path) {
    const [parentPath, step] = parted(path);
    const parent = this.node(parentPath);
    if (!parent || parent.error) return null;
    if (typeof step === 'string') return this.field(parent, path, step);
    if (parent.kind !== 'array' || step >= parent.value.length) return null;
    const value = parent.value[step];
    return new FieldNode(path, `[${step}]`, parent.field, value, parent.elements[step]);
  }

  field(parent, path, name) {
    const field = parent.type && parent.type.fields.find((other) => other.id === name);
    if (!field) return null;
    const failed = this.failures.get(path);
    if (failed) return failedNode(path, field, failed);
    const key = camelCase(name);
    let value;
    try {
      value = parent.value[key];
    } catch (error) {
      this.note(path, error);
      return failedNode(path, field, this.failures.get(path));
    }
    const places = parent.value._debug;
    return new FieldNode(path, name, field, value, places[key] || places[`_m_${key}`]);
  }

  note(path, error) {
    if (error instanceof PageFault) throw error;
    const name = error.name === 'Error' ? '' : `${error.name}: `;
    this.failures.set(path, name + error.message);
  }

  /** The paths of what there is below a node; elements of an array are asked for by number. */
  fieldsOf(path) {
    const { type } = this.node(path);
    const paths = (type ? type.fields : []).map((field) => joined(path, field.id));
    return paths.filter((below) => this.isUnasked(below) || this.isThere(below));
  }

  /** Whether a field may be long and waits until somebody wants it. */
  isUnasked(path) {
    const [parent, step] = parted(path);
    const field = this.node(parent).type.fields.find((other) => other.id === step);
    return field.isRepeated && !field.isStored && !field.isEager;
  }

  isThere(path) {
    const node = this.node(path);
    return node !== null && (node.error !== undefined || node.kind !== 'nothing');
  }
}

function failedNode(path, field, error) {
  const node = new FieldNode(path, field.id, field, undefined, null);
  node.error = error;
  return node;
}

// --- Names and paths ---

const upperFirst = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const className = (id) => id.split('_').map(upperFirst).join('');

function camelCase(id) {
  const [first, ...others] = id.split('_');
  return first + others.map(upperFirst).join('');
}

const joined = (path, name) => (path ? `${path}.${name}` : name);

/** The path of the parent, and the last step: a name, or the number of an element. */
function parted(path) {
  const element = path.match(/^(.*)\[(\d+)\]$/);
  if (element) return [element[1], Number(element[2])];
  const dot = path.lastIndexOf('.');
  return [path.slice(0, Math.max(dot, 0)), path.slice(dot + 1)];
}

/** All paths on the way from the root to a path, which is the last. */
function wayTo(path) {
  const way = [path];
  while (way[0] !== '') way.unshift(parted(way[0])[0]);
  return way;
}

/** The grammar's types by the classes that the compiler has made of them. */
const TYPE_OF = new Map(
  GRAMMAR.types.map((type) => [type.id === GRAMMAR.id ? Vhdx : Vhdx[className(type.id)], type]),
);
