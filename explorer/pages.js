// Bytes of a file of any size, in pages of 64 KiB: what was not asked for is not loaded.

const PAGE = 0x10000;
const MOST_AHEAD = 64; // pages loaded at once when one was wanted after the other
const MOST_KEPT = 2048; // pages that stay between two looks at a file

/** A file on this machine. */
class FileSource {
  constructor(file) {
    this.file = file;
    this.name = file.name;
    this.size = file.size;
  }

  async read(start, end) {
    try {
      return new Uint8Array(await this.file.slice(start, end).arrayBuffer());
    } catch (error) {
      throw new Error(`${this.name} cannot be read, or has changed: ${error.message}`);
    }
  }
}

/** A file at a URL whose server hands out ranges. */
class UrlSource {
  static async open(url) {
    const source = new UrlSource(url);
    const first = await source.range(0, 1);
    source.version = versionOf(first);
    // A server shows its Content-Range to pages of others if it says so, and its Content-Length anyway.
    const [, total] = (first.headers.get('Content-Range') || '').match(/\/(\d+)$/) || [];
    source.size = Number(total || (await source.ask({ method: 'HEAD' })).headers.get('Content-Length'));
    if (!source.size) throw new Error(`the server does not say how long ${source.name} is`);
    return source;
  }

  constructor(url) {
    const { origin, pathname } = new URL(url); // and nothing of the query, which may be a secret
    this.url = url;
    this.place = origin + pathname;
    this.name = decoded(pathname.split('/').pop()) || this.place;
  }

  async read(start, end) {
    const response = await this.range(start, end);
    if (versionOf(response) !== this.version) throw new Error(`${this.name} was replaced meanwhile`);
    return new Uint8Array(await response.arrayBuffer());
  }

  async range(start, end) {
    const response = await this.ask({ headers: { Range: `bytes=${start}-${end - 1}` } });
    if (response.status === 206) return response;
    await response.body?.cancel(); // it may be the whole file
    throw new Error(`the server hands out no ranges of ${this.name} (status ${response.status})`);
  }

  async ask(options) {
    try {
      return await fetch(this.url, { ...options, credentials: 'omit', cache: 'no-store' });
    } catch (error) {
      throw new Error(`${this.place} cannot be asked, or does not let this page ask (CORS)`);
    }
  }
}

const versionOf = ({ headers }) => headers.get('ETag') || headers.get('Last-Modified');

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    return text;
  }
}

/** Thrown where bytes are wanted that are not loaded; not an error of the file. */
class PageFault {
  constructor(first, last) {
    this.first = first;
    this.last = last;
  }
}

/** The pages of a file that were loaded. */
class Pages {
  constructor(source) {
    this.source = source;
    this.size = source.size;
    this.kept = new Map();
    this.spans = 0; // what was read of the file by a grammar, and may refer to its pages
    this.loads = 0;
    this.loaded = 0;
    this.next = 0;
    this.ahead = 1;
  }

  /** Some bytes of the file, all of which it has; throws a PageFault when they are not loaded. */
  bytes(start, length) {
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(start / PAGE);
    const last = Math.floor((start + length - 1) / PAGE);
    for (let page = first; page <= last; page++) {
      if (!this.kept.has(page)) throw new PageFault(page, last);
    }
    const from = start - first * PAGE;
    if (first === last) return this.kept.get(first).subarray(from, from + length);
    const joined = new Uint8Array((last - first + 1) * PAGE);
    for (let page = first; page <= last; page++) {
      joined.set(this.kept.get(page), (page - first) * PAGE);
    }
    return joined.subarray(from, from + length);
  }

  async load(fault) {
    this.ahead = fault.first === this.next ? Math.min(this.ahead * 2, MOST_AHEAD) : 1;
    this.next = Math.max(fault.last + 1, fault.first + this.ahead);
    const start = fault.first * PAGE;
    const end = Math.min(this.next * PAGE, this.size);
    const data = await this.source.read(start, end);
    if (data.length !== end - start) throw new Error(`${this.source.name} has become shorter`);
    this.loads += 1;
    this.loaded += data.length;
    for (let at = 0; at < data.length; at += PAGE) {
      this.kept.set((start + at) / PAGE, data.subarray(at, at + PAGE));
    }
  }

  /** Let go of the pages that were loaded first, where there are many. */
  trim() {
    for (const page of this.kept.keys()) {
      if (this.kept.size <= MOST_KEPT) return;
      this.kept.delete(page);
    }
  }
}
