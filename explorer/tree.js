// The tree of fields. A row is read when what is above it is opened, elements of long arrays in
// groups; nothing is kept of what is closed.

const MOST_UNGROUPED = 128; // elements of an array that stand side by side

/** What a row shows, read of an image. */
function rowFor(reading, path) {
  const [parent, step] = parted(path);
  const name = typeof step === 'number' ? `[${step}]` : step;
  if (typeof step === 'string' && reading.isUnasked(path) && !reading.failures.has(path)) {
    const { types } = reading.node(parent).type.fields.find((field) => field.id === step);
    return { path, name, type: types.join(' | '), text: 'not read yet', canOpen: true };
  }
  const node = reading.node(path);
  return {
    path,
    name,
    type: node.type ? node.type.id : '',
    text: summary(reading, node),
    isError: node.error !== undefined,
    canOpen: node.kind === 'object' || (node.kind === 'array' && node.value.length > 0),
    start: node.start,
    end: node.end,
  };
}

/** The rows below a row. */
function rowsBelow(reading, row) {
  if (row.group) return elementRows(reading, row.path, ...row.group);
  const node = reading.node(row.path);
  if (node.kind !== 'array') {
    return reading.fieldsOf(row.path).map((path) => rowFor(reading, path));
  }
  const count = node.value.length;
  if (count <= MOST_UNGROUPED) return elementRows(reading, row.path, 0, count);
  const step = 2 ** Math.ceil(Math.log2(Math.sqrt(count)));
  const starts = Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
  return starts.map((start) => {
    const end = Math.min(start + step, count);
    const name = `[${start} … ${end - 1}]`;
    return { path: row.path, name, type: '', text: '', group: [start, end], canOpen: true };
  });
}

function elementRows(reading, path, start, end) {
  return Array.from({ length: end - start }, (_, i) => rowFor(reading, `${path}[${start + i}]`));
}

class TreeView {
  constructor(box, run, onSelect) {
    this.box = box;
    this.run = run;
    this.onSelect = onSelect;
    this.rowOf = new WeakMap();
    box.addEventListener('click', (event) => this.clicked(event));
    box.addEventListener('keydown', (event) => this.pressed(event));
  }

  async show(reading) {
    this.reading = reading;
    this.selected = null;
    this.box.replaceChildren();
    this.root = { path: '', level: 0, canOpen: true };
    await this.open(this.root);
    if (this.root.below.length) this.focusable(this.root.below[0]);
  }

  // --- Opening and closing ---

  async open(row) {
    if (!row.canOpen || row.below) return;
    const { reading } = this;
    const [below, above] = await reading.look(() => [
      rowsBelow(reading, row),
      row === this.root || row.group ? row : rowFor(reading, row.path),
    ]);
    if (reading !== this.reading || row.below) return; // another file meanwhile, or the same click
    row.below = below;
    below.forEach((child, i) => {
      child.above = row;
      child.level = row.level + 1;
      this.draw(child, i + 1, below.length);
    });
    const elements = below.map((child) => child.element);
    if (row === this.root) this.box.append(...elements);
    else this.unfold(row, reading.node(row.path), elements);
  }

  unfold(row, node, elements) {
    row.element.setAttribute('aria-expanded', 'true');
    if (node && node.kind === 'array' && !row.group) this.say(row, summary(this.reading, node));
    if (elements.length === 0) this.say(row, node && node.error ? node.error : 'nothing there');
    row.element.after(...elements);
  }

  say(row, text) {
    row.element.querySelector('.text').textContent = text;
  }

  close(row) {
    for (const child of row.below || []) {
      this.close(child);
      child.element.remove();
    }
    row.below = null;
    if (row.element) row.element.setAttribute('aria-expanded', 'false');
  }

  draw(row, position, count) {
    const element = document.createElement('div');
    element.setAttribute('role', 'treeitem');
    element.setAttribute('aria-level', row.level);
    element.setAttribute('aria-posinset', position);
    element.setAttribute('aria-setsize', count);
    element.setAttribute('aria-selected', 'false');
    if (row.canOpen) element.setAttribute('aria-expanded', 'false');
    if (row.isError) element.classList.add('error');
    if (row.start === null && !row.canOpen) element.classList.add('computed');
    element.style.setProperty('--level', row.level);
    element.tabIndex = -1;
    for (const part of ['name', 'type', 'text']) {
      const span = document.createElement('span');
      span.className = part;
      span.textContent = row[part];
      element.append(span, ' ');
    }
    row.element = element;
    this.rowOf.set(element, row);
  }

  /** Open what leads to a path, and select it. */
  async reveal(path) {
    let row = this.root;
    for (const step of wayTo(path).slice(1)) {
      row = await this.child(row, step);
      if (!row) throw new Error(`this file has no ${visible(step)}`);
    }
    this.select(row);
    row.element.scrollIntoView({ block: 'nearest' });
    return row;
  }

  async child(row, path) {
    await this.open(row);
    const found = (row.below || []).find((child) => child.path === path && !child.group);
    if (found) return found;
    const [, index] = parted(path);
    const holds = ({ group }) => group && group[0] <= index && index < group[1];
    const group = (row.below || []).find(holds);
    return group ? this.child(group, path) : null;
  }

  /** The smallest of the open rows that has a byte. */
  openAt(offset) {
    const rows = [...this.box.children].map((element) => this.rowOf.get(element));
    const having = rows.filter(({ start, end }) => start <= offset && offset < end);
    const length = ({ start, end }) => end - start;
    return having.reduce((best, row) => (best && length(best) <= length(row) ? best : row), null);
  }

  // --- Selecting ---

  select(row) {
    if (this.selected) this.selected.element.setAttribute('aria-selected', 'false');
    this.selected = row;
    row.element.setAttribute('aria-selected', 'true');
    this.focusable(row);
    if (!row.group) this.onSelect(row.path);
  }

  focusable(row) {
    for (const element of this.box.querySelectorAll('[tabindex="0"]')) element.tabIndex = -1;
    row.element.tabIndex = 0;
  }

  toggle(row) {
    if (row.below) this.close(row);
    else this.run(() => this.open(row));
  }

  clicked(event) {
    const element = event.target.closest('[role=treeitem]');
    if (!element) return;
    const row = this.rowOf.get(element);
    const isChosen = row === this.selected;
    this.select(row);
    if (event.target === element || isChosen || row.group) this.toggle(row);
  }

  pressed(event) {
    const row = this.rowOf.get(event.target);
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = this.after(row, event.key);
    if (next === undefined) return;
    event.preventDefault();
    if (next === null) return;
    this.select(next);
    next.element.focus();
  }

  /** The row that a key leads to, null for none, undefined when the key means nothing here. */
  after(row, key) {
    const { previousElementSibling: above, nextElementSibling: below } = row.element;
    const at = (element) => (element ? this.rowOf.get(element) : null);
    switch (key) {
      case 'ArrowUp': return at(above);
      case 'ArrowDown': return at(below);
      case 'Home': return at(this.box.firstElementChild);
      case 'End': return at(this.box.lastElementChild);
      case 'ArrowRight':
        if (row.below) return row.below[0] || null;
        this.toggle(row);
        return null;
      case 'ArrowLeft':
        if (!row.below) return row.above === this.root ? null : row.above;
        this.close(row);
        return null;
      case 'Enter':
      case ' ':
        this.toggle(row);
        return row;
      default: return undefined;
    }
  }
}
