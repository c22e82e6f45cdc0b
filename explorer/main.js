// The page: a file is opened, and tree, bytes and details follow each other.

/** Shut the network, but for the one server that the address of the page names. */
function shutNetwork(url) {
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = `connect-src ${url ? new URL(url).origin : "'none'"}`;
  document.head.append(policy);
}

class Page {
  constructor() {
    this.by = (id) => document.getElementById(id);
    this.trouble = (error) => this.say(error.message, true);
    this.tree = new TreeView(this.by('tree'), (path) => this.selected(path), this.trouble);
    this.hex = new HexView(this.by('bytes'), this.by('slider'), (at) => this.picked(at), this.trouble);
    this.names = namesOfFields();
    this.path = '';
    this.listen();
  }

  listen() {
    this.on('file', 'change', ({ target }) => target.files[0] && this.openFile(target.files[0]));
    this.on('address', 'submit', (event) => this.openAddress(event));
    this.on('go', 'submit', (event) => this.wentTo(event));
    for (const button of document.querySelectorAll('[data-path]')) {
      button.addEventListener('click', () => this.jump(button.dataset.path));
    }
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => this.dropped(event));
    for (const name of this.names) this.by('names').append(new Option(name, name));
  }

  on(id, kind, listener) {
    this.by(id).addEventListener(kind, listener);
  }

  say(text, isTrouble = false) {
    this.by('status').textContent = text;
    this.by('status').classList.toggle('error', isTrouble);
  }

  // --- Opening ---

  openFile(file) {
    return this.open(async () => new FileSource(file));
  }

  openUrl(url) {
    this.by('url').value = url;
    return this.open(() => UrlSource.open(url));
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
    try {
      const pages = new Pages(await source());
      if (pages.size === 0) throw new Error(`${visible(pages.source.name)} is empty`);
      this.reading = new Reading(pages);
      this.path = '';
      drawDetails(this.by('details'), []);
      this.by('work').hidden = false;
      await this.hex.show(this.reading);
      await this.tree.show(this.reading);
      document.title = `${visible(pages.source.name)} – VHDX explorer`;
      this.by('name').textContent = `${visible(pages.source.name)}, ${size(pages.size)}`;
      await this.warn();
      this.sayLoaded();
    } catch (error) {
      this.trouble(error);
    }
  }

  /** Say what of this file the grammar shows other than it is. */
  async warn() {
    const isDirty = await this.reading.look(() => {
      const node = this.reading.node('log.has_to_be_replayed');
      return node !== null && node.value === true;
    });
    this.by('dirty').hidden = !isDirty;
  }

  sayLoaded() {
    const { loads, loaded } = this.reading.pages;
    this.say(`${size(loaded)} read, in ${loads} ${loads === 1 ? 'piece' : 'pieces'}`);
  }

  // --- From one to the other ---

  async selected(path) {
    this.path = path;
    const { reading } = this;
    try {
      const [pairs, node] = await reading.look(() => [detailsOf(reading, path), reading.node(path)]);
      if (path !== this.path) return;
      drawDetails(this.by('details'), pairs);
      if (this.picking) return;
      if (node.start !== null) await this.hex.mark(node.start, node.end);
      this.sayLoaded();
    } catch (error) {
      this.trouble(error);
    }
  }

  /** Go from a byte to its field: one that is open, or one that the grammar leads to. */
  async picked(at) {
    const { reading } = this;
    try {
      const open = this.tree.openAt(at);
      const path = (await reading.look(() => pathAt(reading, at))) || (open && open.path);
      if (!path) {
        await this.hex.mark(at, at + 1);
        this.say(`Nothing that is open has the byte at ${hex(at)}; it may belong to a block.`);
        return;
      }
      await this.tree.reveal(path);
    } catch (error) {
      this.trouble(error);
    }
  }

  // --- Jumps ---

  async jump(path) {
    try {
      const row = await this.tree.reveal(path);
      await this.tree.open(row);
      row.element.focus();
    } catch (error) {
      this.trouble(error);
    }
  }

  async wentTo(event) {
    event.preventDefault();
    try {
      const text = this.by('where').value;
      if (this.by('kind').value === 'offset') await this.goToOffset(numberFrom(text));
      else await this.jump(await this.pathFor(this.by('kind').value, text));
    } catch (error) {
      this.trouble(error);
    }
  }

  async goToOffset(offset) {
    if (offset >= this.reading.size) throw new Error(`the file ends at ${hex(this.reading.size)}`);
    await this.hex.mark(offset, offset + 1);
    this.say(`The byte at ${hex(offset)}; Enter or a click there leads to its field.`);
    this.hex.cell(offset).focus();
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

function start() {
  const url = new URLSearchParams(location.search).get('url');
  try {
    shutNetwork(url);
  } catch (error) {
    document.getElementById('status').textContent = 'The address names no URL.';
    shutNetwork(null);
    return;
  }
  const page = new Page();
  if (url) page.openUrl(url);
  globalThis.page = page;
}

if (typeof document !== 'undefined') start();
