// Answers requests with the JavaScript parser; see the README of the kit.
'use strict';

const fs = require('fs');
const KaitaiStream = require('kaitai-struct/KaitaiStream');
const { Vhdx } = require('./Vhdx');

const FRESH = ['error', 'broken_text'];
const KINDS = ['int', 'bool', 'bytes', 'str', 'size', 'absent', ...FRESH];

class NothingThere extends Error {}

// A file that is parsed when a value of it is asked for.
class Image {
  constructor(name) {
    const file = fs.readFileSync(name);
    // Small files share a buffer with others, large ones should not be copied.
    const isAlone = file.buffer.byteLength === file.length;
    this.buffer = isAlone ? file.buffer : file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
    this.root = null;
  }

  follow(path) {
    if (this.root === null) {
      this.root = new Vhdx(new KaitaiStream(this.buffer));
    }
    let value = this.root;
    for (const step of path.match(/\w+/g)) {
      const name = /^\d/.test(step) ? Number(step) : camelCase(step);
      if (typeof value !== 'object' || value === null || !(name in value)) {
        throw new NothingThere(`no ${step}`);
      }
      value = value[name];
    }
    return value;
  }
}

function camelCase(name) {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

function answer(kind, value) {
  if (value === undefined || value === null) {
    return ['absent', ''];
  }
  if (typeof value === 'boolean') {
    return ['bool', String(value)];
  }
  if (typeof value === 'number') {
    if (KINDS.includes(kind)) {
      return ['int', Number.isInteger(value) ? String(BigInt(value)) : String(value)];
    }
    // Enums are numbers here; one without a label stays a number.
    const labels = Vhdx[camelCase(`_${kind}`)] || {};
    return [kind, value in labels ? labels[value].toLowerCase() : String(value)];
  }
  if (typeof value === 'string') {
    return ['str', JSON.stringify(value)];
  }
  if (value instanceof Uint8Array) {
    return ['bytes', Buffer.from(value).toString('hex')];
  }
  return Array.isArray(value) ? ['size', String(value.length)] : ['object', value.constructor.name];
}

// What a parser may throw over a file that is not as it should be.
function isRefusal(error) {
  return error instanceof KaitaiStream.EOFError || error instanceof KaitaiStream.ValidationNotEqualError;
}

function main(requests) {
  let image = null;
  let answers = [];
  for (const line of fs.readFileSync(requests, 'utf8').trimEnd().split('\n')) {
    const [kind, path] = line.split('\t');
    if (kind === 'open') {
      image = new Image(path);
      fs.writeSync(1, `${answers.join('')}opened\t\n`);
      answers = [];
      continue;
    }
    if (FRESH.includes(kind)) {
      image.root = null;
    }
    let got;
    try {
      got = answer(kind, image.follow(path));
    } catch (error) {
      got = [isRefusal(error) ? 'error' : 'nothing', `${error.name}: ${error.message}`];
    }
    if (FRESH.includes(kind) || got[0] === 'error') {
      image.root = null;
    }
    answers.push(got.join('\t').replace(/\n/g, ' '), '\n');
  }
  fs.writeSync(1, answers.join(''));
}

main(process.argv[2]);
