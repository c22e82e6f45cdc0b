// A window on the bytes of the file, of which one is where the keyboard is, and some are marked.

class HexView {
  constructor(box, slider, run, onPick) {
    this.box = box;
    this.slider = slider;
    this.run = run;
    this.onPick = onPick;
    box.addEventListener('click', (event) => this.clicked(event));
    box.addEventListener('keydown', (event) => this.pressed(event));
    box.addEventListener('wheel', (event) => this.turned(event), { passive: false });
    slider.addEventListener('input', () => this.slid());
  }

  async show(reading) {
    this.reading = reading;
    this.marked = [0, 0];
    this.at = 0;
    this.slider.max = Math.max(0, Math.floor((reading.size - 1) / this.width));
    await this.scroll(0);
  }

  /** Bytes in a row, as many as there is room for. */
  get width() {
    return this.box.clientWidth < 560 ? 8 : 16;
  }

  get rows() {
    return window.innerHeight < 800 ? 16 : 24;
  }

  /** Mark a range, and go to one of its bytes. */
  async mark(start, end, at = start) {
    this.marked = [start, end];
    await this.go(at);
  }

  async unmark() {
    this.marked = [0, 0];
    await this.scroll(this.top);
  }

  /** Move to a byte, and the window with it where the byte is outside. */
  async go(offset) {
    const { reading, width, rows } = this;
    this.at = Math.max(0, Math.min(offset, reading.size - 1));
    const isInside = this.top <= this.at && this.at < this.top + rows * width;
    await this.scroll(isInside ? this.top : this.at - 2 * width);
  }

  async scroll(offset) {
    const { reading, width, rows } = this;
    const last = Math.max(0, Math.ceil(reading.size / width) - rows) * width;
    const top = Math.max(0, Math.min(Math.floor(offset / width) * width, last));
    this.top = top;
    const length = Math.min(rows * width, reading.size - top);
    const bytes = await reading.look(() => reading.pages.bytes(top, length));
    if (reading !== this.reading || top !== this.top) return; // it went on meanwhile
    this.slider.value = Math.floor(top / width);
    this.slider.setAttribute('aria-valuetext', hex(top));
    this.draw(bytes);
  }

  draw(bytes) {
    const hadFocus = this.box.contains(document.activeElement);
    const drawn = [];
    for (let at = 0; at < bytes.length; at += this.width) {
      drawn.push(this.row(this.top + at, bytes.subarray(at, at + this.width)));
    }
    this.box.replaceChildren(...drawn);
    const cell = this.cell(this.at) || this.cell(this.top);
    if (!cell) return;
    cell.tabIndex = 0;
    if (hadFocus) cell.focus();
  }

  row(start, bytes) {
    const row = part('div', 'row');
    const head = part('span', 'rowheader', start.toString(16).padStart(8, '0'));
    const cells = Array.from(bytes, (byte, i) => this.byte(start + i, byte));
    const text = part('span', 'gridcell', Array.from(bytes, asCharacter).join(''));
    text.className = 'characters';
    row.append(head, ...cells, text);
    return row;
  }

  byte(at, byte) {
    const cell = part('span', 'gridcell', hexByte(byte));
    const isMarked = this.marked[0] <= at && at < this.marked[1];
    cell.dataset.at = at;
    cell.tabIndex = -1;
    cell.setAttribute('aria-selected', isMarked);
    if (at === this.at) cell.classList.add('here');
    return cell;
  }

  cell(offset) {
    return this.box.querySelector(`[data-at="${offset}"]`);
  }

  clicked(event) {
    const cell = event.target.closest('[data-at]');
    if (cell) this.pick(Number(cell.dataset.at));
  }

  pick(offset) {
    this.at = offset;
    this.onPick(offset);
  }

  pressed(event) {
    if (event.altKey || event.metaKey || !event.target.dataset.at) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.pick(this.at);
      return;
    }
    const to = this.after(event.key, event.ctrlKey);
    if (to === undefined) return;
    event.preventDefault();
    this.run(() => this.go(to));
  }

  after(key, isFar) {
    const { at, width, rows } = this;
    switch (key) {
      case 'ArrowLeft': return at - 1;
      case 'ArrowRight': return at + 1;
      case 'ArrowUp': return at - width;
      case 'ArrowDown': return at + width;
      case 'PageUp': return at - rows * width;
      case 'PageDown': return at + rows * width;
      case 'Home': return isFar ? 0 : at - (at % width);
      case 'End': return isFar ? this.reading.size - 1 : at - (at % width) + width - 1;
      default: return undefined;
    }
  }

  turned(event) {
    const { scrollHeight, clientHeight } = document.documentElement;
    if (event.ctrlKey || scrollHeight > clientHeight) return; // it is the page that scrolls
    event.preventDefault();
    this.run(() => this.scroll(this.top + Math.sign(event.deltaY) * 4 * this.width));
  }

  slid() {
    this.run(() => this.scroll(Number(this.slider.value) * this.width));
  }
}

function part(tag, role, text = '') {
  const element = document.createElement(tag);
  element.setAttribute('role', role);
  element.textContent = text;
  return element;
}

const asCharacter = (byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : '·');
