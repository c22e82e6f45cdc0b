// The page: a file is opened, and tree, bytes and details follow each other.

/** Shut the network, but for the one server that the address of the page names. */
function shutNetwork(url) {
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = `connect-src ${url ? url.origin : "'none'"}`;
  document.head.append(policy);
}

class Page {
  constructor() {
    this.by = (id) => document.getElementById(id);
    const run = (action) => this.run(action);
    this.tree = new TreeView(this.by('tree'), run, (path) => this.selected(path));
    this.hex = new HexView(this.by('bytes'), this.by('slider'), run, (at) => this.picked(at));
    this.names = namesOfFields();
    this.running = 0;
    this.listen();
  }

  listen() {
    this.on('file', 'change', ({ target }) => target.files[0] && this.openFile(target.files[0]));
    this.on('address', 'submit', (event) => this.openAddress(event));
    this.on('go', 'submit', (event) => this.wentTo(event));
    this.on('regions', 'click', () => this.run(() => this.goToRegions()));
    for (const button of document.querySelectorAll('[data-path]')) {
      button.addEventListener('click', () => this.run(() => this.goTo(button.dataset.path)));
    }
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => this.dropped(event));
    for (const name of this.names) this.by('names').append(new Option(name, name));
  }

  on(id, kind, listener) {
    this.by(id).addEventListener(kind, listener);
  }

  /** Do something that may take a while, and say what went wrong. */
  async run(action) {
    this.by('work').setAttribute('aria-busy', (this.running += 1) > 0);
    try {
      await action();
    } catch (error) {
      this.say(error.message, true);
    } finally {
      this.by('work').setAttribute('aria-busy', (this.running -= 1) > 0);
    }
  }

  say(text, isTrouble = false) {
    this.by('status').textContent = visible(text);
    this.by('status').classList.toggle('error', isTrouble);
  }

  sayLoaded() {
    const { loads, loaded } = this.reading.pages;
    this.say(`${size(loaded)} read, in ${loads} ${loads === 1 ? 'piece' : 'pieces'}`);
  }

  // --- Opening ---

  openFile(file) {
    this.run(() => this.open(new FileSource(file)));
  }

  openUrl(url) {
    this.by('url').value = url;
    this.run(async () => this.open(await UrlSource.open(url)));
  }

  /** By a new address of the page: what it may ask is settled when it is loaded. */
  openAddress(event) {
    event.preventDefault();
    const address = new URL(location.href);
    address.search = new URLSearchParams({ url: this.by('url').value });
    location.assign(address);
  }

  dropped(event) {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) this.openFile(file);
  }

  async open(source) {
    const name = visible(source.name);
    if (source.size === 0) throw new Error(`${name} is empty`);
    this.reading = new Reading(new Pages(source));
    this.path = '';
    drawDetails(this.by('details'), []);
    document.title = `${name}, VHDX explorer`;
    this.by('name').textContent = `${name}, ${size(source.size)}`;
    this.by('work').hidden = false;
    await this.hex.show(this.reading);
    await this.tree.show(this.reading);
    this.by('dirty').hidden = !(await this.reading.look(isDirty));
    this.sayLoaded();
  }

  // --- From one to the other ---

  selected(path) {
    this.path = path;
    const { reading, pick } = this;
    this.run(async () => {
      const [pairs, node] = await reading.look(() => [detailsOf(reading, path), reading.node(path)]);
      if (path !== this.path || reading !== this.reading) return;
      drawDetails(this.by('details'), pairs);
      if (node.start === null) await this.hex.unmark();
      else await this.hex.mark(node.start, node.end, has(node, pick) ? pick : node.start);
      this.sayLoaded();
    });
  }

  /** Go from a byte to its field: one that the grammar leads to, or one that is open. */
  picked(at) {
    const { reading, tree, hex: bytes } = this;
    this.run(async () => {
      const path = (await reading.look(() => pathAt(reading, at))) || tree.openAt(at)?.path;
      if (path) {
        this.pick = at;
        await tree.reveal(path).finally(() => { this.pick = undefined; });
      } else {
        await bytes.mark(at, at + 1);
        this.say(`No field that is open has the byte at ${hex(at)}; it may belong to a block.`);
      }
    });
  }

  // --- Jumps ---

  wentTo(event) {
    event.preventDefault();
    const [kind, text] = [this.by('kind').value, this.by('where').value];
    this.run(async () => {
      if (kind === 'offset') await this.goToOffset(numberFrom(text));
      else await this.goTo(await this.pathFor(kind, text));
    });
  }

  async goTo(path) {
    const row = await this.tree.reveal(path);
    await this.tree.open(row);
    row.element.focus();
    row.element.scrollIntoView({ block: 'center' });
  }

  /** The region table that the grammar goes by. */
  async goToRegions() {
    const { reading } = this;
    const isFirst = await reading.look(() => reading.node('current_region_table.is_first').value);
    await this.goTo(`region_table_${isFirst ? 1 : 2}.entries`);
  }

  async goToOffset(offset) {
    if (offset >= this.reading.size) throw new Error(`the file ends at ${hex(this.reading.size)}`);
    await this.hex.mark(offset, offset + 1);
    this.hex.cell(offset).focus();
    this.say(`The byte at ${hex(offset)}; Enter or a click there leads to its field.`);
  }

  pathFor(kind, text) {
    const { reading } = this;
    switch (kind) {
      case 'virtual': return reading.look(() => pathOfVirtual(reading, numberFrom(text)));
      case 'block': return reading.look(() => pathOfBlock(reading, numberFrom(text)));
      case 'entry': return pathOfEntry(reading, numberFrom(text || '0'));
      default:
        if (/\[\d+\]/.test(text)) return text.trim();
        this.found = search(this.names, text, this.found);
        return pathFrom(this.found, this.path);
    }
  }
}

/** Whether the grammar says that the file is not what it is once the log is replayed. */
function isDirty(reading) {
  const node = reading.node('log.has_to_be_replayed');
  return node !== null && node.value === true;
}

function start() {
  const text = new URLSearchParams(location.search).get('url');
  const url = text && URL.canParse(text, location.href) ? new URL(text, location.href) : null;
  shutNetwork(url);
  const page = new Page();
  globalThis.page = page; // for the console, and for tests
  if (url) page.openUrl(url.href);
  else if (text) page.say(`${text} is no URL`, true);
}

if (typeof document !== 'undefined') start();
