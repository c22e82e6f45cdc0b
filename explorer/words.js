// What is said of nodes. Text of an image is a stranger's: `visible` escapes it, nothing else is
// done with it, and a page has it as text alone.

const MOST_TEXT = 1024; // characters shown of a text
const MOST_BYTES = 16; // bytes shown of a field

/** Text without anything that acts: controls, marks of direction, halves of pairs, odd spaces. */
function visible(text) {
  const cut = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
  return cut.replace(/(?! )[\p{C}\p{Z}]/gu, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  });
}

const hex = (number) => `0x${number.toString(16)}`;
const hexByte = (byte) => byte.toString(16).padStart(2, '0');
const hexBytes = (bytes, between = '') => Array.from(bytes, hexByte).join(between);

/** A number of bytes as people read it. */
function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const number = bytes / 1024 ** power;
  const short = Number(number.toPrecision(4));
  return `${short === number ? '' : 'about '}${short} ${units[power]}`;
}

function uuid(bytes, isMicrosoft) {
  const order = isMicrosoft ? [3, 2, 1, 0, 5, 4, 7, 6] : [0, 1, 2, 3, 4, 5, 6, 7];
  const text = hexBytes([...order.map((i) => bytes[i]), ...bytes.slice(8)]);
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** What the grammar calls a number, an element of its enumeration; undefined where it does not. */
function labelOf(node) {
  const labels = node.kind === 'number' && node.field && GRAMMAR.enums[node.field.enum];
  return labels ? labels[node.value] : undefined;
}

/** A number to the last digit; what was computed of others above 2^53 is told as rounded. */
function decimal(value) {
  const isRounded = Math.abs(value) > Number.MAX_SAFE_INTEGER && !(value instanceof LargeNumber);
  return isRounded ? `about ${BigInt(value)}` : value.toString();
}

/** The value of a node that is no structure. */
function plainText(node) {
  if (node.error) return '(unreadable)';
  if (node.kind === 'nothing') return '(nothing)';
  if (node.kind === 'bytes') {
    return hexBytes(node.value.bytes(MOST_BYTES), ' ') + (node.value.length > MOST_BYTES ? ' …' : '');
  }
  if (node.kind !== 'number') return visible(String(node.value));
  const label = labelOf(node);
  if (label) return `${label.id} (${node.value})`;
  return node.value > 9 ? `${decimal(node.value)} (${hex(node.value)})` : decimal(node.value);
}

/** The words beside the name of a node. */
function summary(reading, node) {
  if (node.error) return `cannot be read: ${visible(node.error)}`;
  if (node.kind === 'object') return representation(reading, node);
  if (node.kind === 'array') {
    return `${node.value.length} ${node.value.length === 1 ? 'element' : 'elements'}`;
  }
  return plainText(node);
}

/** What `-webide-representation` of a type makes of a structure. */
function representation(reading, node) {
  return (node.type.representation || '').replace(/\{(.*?)\}/g, (_, place) => {
    const [path, option = ''] = place.split(':');
    const found = reading.node(joined(node.path, path));
    return found ? formatted(reading, found, option) : '(nothing)';
  });
}

function formatted(reading, node, option) {
  if (node.kind === 'object') return representation(reading, node);
  if (node.kind === 'bytes' && option.startsWith('uuid') && node.value.length === 16) {
    return uuid(node.value.bytes(), option === 'uuid=ms');
  }
  if (node.kind === 'bytes') {
    return `0x${hexBytes(node.value.bytes(MOST_BYTES))}${node.value.length > MOST_BYTES ? '…' : ''}`;
  }
  if (node.kind !== 'number') return plainText(node);
  if (option === 'hex') return hex(node.value);
  const label = labelOf(node);
  return label && option !== 'dec' ? label.id : decimal(node.value);
}
