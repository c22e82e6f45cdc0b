// Where to go: names of fields, the field that has a byte, the block that has a byte of the disk.

const MOST_IN_TURN = 128; // elements that are asked one after the other where a byte is looked for

/** What can be searched for: paths of all fields by the grammar, `[]` for any element. */
function namesOfFields() {
  const names = [];
  const types = new Map(GRAMMAR.types.map((type) => [type.id, type]));
  const collect = (type, path) => {
    for (const field of type.fields) {
      const name = joined(path, field.id) + (field.isRepeated ? '[]' : '');
      if (!names.includes(name)) names.push(name);
      for (const id of field.types) collect(types.get(id), name);
    }
  };
  collect(types.get(GRAMMAR.id), '');
  return names;
}

/** A path for a name: each `[]` is the element where somebody is already, or else the first. */
function pathFrom(name, current) {
  return name.split('[]').reduce((path, part) => {
    const here = current.startsWith(path) && current.slice(path.length).match(/^\[\d+\]/);
    return path + (here ? here[0] : '[0]') + part;
  });
}

/** The next name that has a text in it, after the one that was found last. */
function search(names, text, last) {
  if (names.includes(text)) return text;
  const found = names.filter((name) => name.includes(text.trim().toLowerCase()));
  if (found.length === 0) throw new Error(`the grammar has no field ${visible(text)}`);
  return found[(found.indexOf(last) + 1) % found.length];
}

/** The path of the smallest field that has a byte; null where the grammar leads to none. */
function pathAt(reading, offset) {
  const best = smallest(reading, '', offset);
  return best && best.path !== '' ? best.path : null;
}

const has = (node, offset) => node.start <= offset && offset < node.end;

function smallest(reading, path, offset) {
  const node = reading.node(path);
  if (!node || node.error) return null;
  let best = node.start !== null && has(node, offset) ? node : null;
  for (const below of pathsTowards(reading, node, offset)) {
    const found = smallest(reading, below, offset);
    if (found && (!best || found.end - found.start < best.end - best.start)) best = found;
  }
  return best;
}

/** What is below a node and may have a byte. */
function pathsTowards(reading, node, offset) {
  if (node.kind === 'array') return elementsTowards(reading, node, offset);
  if (node.kind !== 'object') return [];
  const paths = node.type.fields.map((field) => [field, joined(node.path, field.id)]);
  const hasBytes = paths.some(([field, path]) => field.isStored && hasByte(reading, path, offset));
  // Beside a stored field there may be others that read the same bytes in another way.
  const isWanted = ([field]) => field.isStored || field.types.length > 0 || !hasBytes;
  return paths.filter(isWanted).map(([, path]) => path);
}

function hasByte(reading, path, offset) {
  const node = reading.node(path);
  return node !== null && node.start !== null && has(node, offset);
}

/** The one element that may have a byte of an array; elsewhere an element may lead to any place. */
function elementsTowards(reading, array, offset) {
  let [low, high] = [0, array.value.length];
  const isElsewhere = array.start !== null && !has(array, offset);
  while (!isElsewhere && high - low > 1) {
    const middle = (low + high) >> 1;
    const start = startOf(reading, `${array.path}[${middle}]`);
    if (start === null) break;
    if (start > offset) high = middle;
    else low = middle;
  }
  if (high - low > MOST_IN_TURN) return [];
  return Array.from({ length: high - low }, (_, i) => `${array.path}[${low + i}]`);
}

/** Where an element begins, or the bytes of one that has none of its own. */
function startOf(reading, path) {
  const node = reading.node(path);
  if (node.start !== null || node.kind !== 'object') return node.start;
  for (const field of node.type.fields) {
    const below = reading.node(joined(path, field.id));
    if (below && below.kind === 'bytes') return below.start;
  }
  return null;
}

/** The path of a payload block, by its number. */
function pathOfBlock(reading, block) {
  const [count, ratio] = ['num_payload_blocks', 'chunk_ratio'].map((name) => batHas(reading, name));
  if (block >= count) throw new Error(`the disk has ${count} payload blocks, from 0 on`);
  return `bat.chunks[${Math.floor(block / ratio)}].payload_blocks[${block % ratio}]`;
}

/** The path of the payload block that has a byte of the virtual disk. */
function pathOfVirtual(reading, offset) {
  const blockSize = batHas(reading, 'block_size');
  if (blockSize === 0) throw new Error('the metadata do not say how large a block is');
  return pathOfBlock(reading, Math.floor(offset / blockSize));
}

function batHas(reading, name) {
  const node = reading.node(`bat.${name}`);
  if (!node || node.error) throw new Error('the grammar finds no BAT in this file');
  return node.value;
}

/** The path of the first log entry in a slot or after it. */
async function pathOfEntry(reading, slot) {
  let at = slot;
  return reading.look(() => {
    const slots = reading.node('log.slots');
    if (!slots || slots.error || slots.kind === 'nothing') throw new Error('there is no log');
    for (; at < slots.value.length; at++) {
      if (reading.node(`log.slots[${at}].is_entry`).value === true) return `log.slots[${at}]`;
    }
    throw new Error(`no log entry begins in slot ${slot} or after it`);
  });
}

/** A number as people type it: decimal, 0x..., or with KiB to TiB. */
function numberFrom(text) {
  const match = text.trim().match(/^(0x[0-9a-f]+|\d+)\s*([KMGT])?(?:i|iB)?$/i);
  if (!match) throw new Error('a number is wanted: 1048576, 0x100000 or 1MiB');
  const power = match[2] ? 'KMGT'.indexOf(match[2].toUpperCase()) + 1 : 0;
  return Number(match[1]) * 1024 ** power;
}
