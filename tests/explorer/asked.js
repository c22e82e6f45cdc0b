// Answers questions about images with the program of the explorer's page, outside a browser.
//
// Usage: node asked.js PAGE [BYTES], to read the file in pages of BYTES. One request a line on standard input, one answer a line on standard
// output, all JSON: {"image": PATH, "paths": [...]} has the nodes at these paths, {"image": PATH,
// "call": EXPRESSION} what an expression of the program gives, in which `reading` is the image.
'use strict';

const fs = require('fs');
const readline = require('readline');
const vm = require('vm');

// In place of a File: Node's own gives some sizes as 0.
class StoredFile {
  constructor(path) {
    this.descriptor = fs.openSync(path);
    this.size = fs.fstatSync(this.descriptor).size;
    this.name = path;
  }

  slice(start, end) {
    const data = new Uint8Array(end - start);
    const read = fs.readSync(this.descriptor, data, 0, data.length, start);
    return { arrayBuffer: async () => data.buffer.slice(0, read) };
  }
}

function program(page, bytes) {
  const [, text] = fs.readFileSync(page, 'utf8').match(/<script>([^]*)<\/script>/);
  const script = bytes ? text.replace(/(const PAGE = )\w+/, `$1${bytes}`) : text;
  const context = vm.createContext({ TextDecoder });
  vm.runInContext(script, context);
  context.ask = vm.runInContext(ASK, context);
  return context;
}

const ASK = `(reading, path) => {
  const node = reading.node(path);
  if (!node) return null;
  const bytes = node.kind === 'bytes' ? node.value.length : null;
  return {
    kind: node.kind,
    type: node.type && node.type.id,
    start: node.start,
    end: node.end,
    count: node.kind === 'array' ? node.value.length : bytes,
    number: node.kind === 'number' ? decimal(node.value) : null,
    value: ['string', 'boolean'].includes(node.kind) ? node.value : null,
    raw: node.kind === 'bytes' ? hexBytes(node.value.bytes(1 << 20)) : null,
    label: labelOf(node) ? labelOf(node).id : null,
    text: summary(reading, node),
    error: node.error || null,
  };
}`;

async function answer(context, request) {
  context.file = new StoredFile(request.image);
  try {
    const reading = vm.runInContext('new Reading(new Pages(new FileSource(file)))', context);
    context.reading = reading;
    if (request.call) return { result: await vm.runInContext(request.call, context) };
    const nodes = {};
    for (const path of request.paths) {
      nodes[path] = await reading.look(() => context.ask(reading, path));
    }
    return { nodes, loads: reading.pages.loads };
  } finally {
    fs.closeSync(context.file.descriptor);
  }
}

async function main() {
  const context = program(...process.argv.slice(2));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = await answer(context, JSON.parse(line));
    } catch (error) {
      reply = { failure: String(error.stack || error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

main();
