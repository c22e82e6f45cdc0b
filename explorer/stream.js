// What the compiled grammar reads from: Kaitai's own stream, over pages instead of a whole file.

/** Bytes that the grammar has read: their place in the file, until somebody looks at them. */
class Span {
  constructor(pages, start, length) {
    pages.spans += 1;
    this.pages = pages;
    this.start = start;
    this.length = length;
  }

  bytes(most = this.length) {
    return this.pages.bytes(this.start, Math.min(this.length, most));
  }

  toString() {
    return [...this.bytes(16)].join(',');
  }
}

/** A number above 2^53, where JavaScript rounds; the grammar counts with the rounded one. */
class LargeNumber extends Number {
  constructor(exact) {
    super(Number(exact));
    this.exact = exact;
  }

  toString(base) {
    return this.exact.toString(base);
  }
}

/** The part of a DataView that Kaitai's stream asks. */
class SpanView {
  constructor(span) {
    this.span = span;
  }

  getUint8(at) {
    return this.view(at, 1).getUint8(0);
  }

  getUint16(at, isLittle) {
    return this.view(at, 2).getUint16(0, isLittle);
  }

  getUint32(at, isLittle) {
    return this.view(at, 4).getUint32(0, isLittle);
  }

  view(at, length) {
    const bytes = this.span.pages.bytes(this.span.start + at, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }
}

/** A stream over a span; its `byteOffset` is the place in the file, as the compiler records it. */
class PagedStream extends KaitaiStream {
  constructor(span) {
    super(new ArrayBuffer(0));
    this._byteOffset = span.start;
    this._byteLength = span.start + span.length;
    this._dataView = new SpanView(span);
    this.span = span;
  }

  readU8le() {
    const number = super.readU8le();
    if (Number.isSafeInteger(number)) return number;
    return new LargeNumber(this._dataView.view(this.pos - 8, 8).getBigUint64(0, true));
  }

  readBitsIntLe(count) {
    this.isForBits = true;
    try {
      return super.readBitsIntLe(count);
    } finally {
      this.isForBits = false;
    }
  }

  mapUint8Array(length) {
    if (!(length >= 0)) throw new RangeError(`${length} bytes are wanted`);
    this.ensureBytesLeft(length);
    const span = new Span(this.span.pages, this.span.start + this.pos, length);
    this.pos += length;
    return this.isForBits ? span.bytes() : span;
  }

  static byteArrayCompare(a, b) {
    const [left, right] = [a, b].map((bytes) => (bytes instanceof Span ? bytes.bytes() : bytes));
    return super.byteArrayCompare(left, right);
  }

  static bytesToStr(span, encoding) {
    try {
      const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
      return decoder.decode(span.bytes());
    } catch (error) {
      throw error instanceof PageFault ? error : new Error(`is no text in ${encoding}`);
    }
  }
}

/**
 * What the compiled grammar defines its getters by. They keep what they have begun, an array that is
 * half filled for example, and would take it for whole the next time; so each forgets what a page
 * fault or an error kept it from finishing.
 */
const ForgetfulObject = {
  freeze: Object.freeze,
  defineProperty(type, key, { get }) {
    Object.defineProperty(type, key, {
      get() {
        try {
          return get.call(this);
        } catch (error) {
          delete this[`_m_${key}`];
          delete this._debug[`_m_${key}`];
          this._io.alignToByte();
          throw error;
        }
      },
    });
  },
};
