// Drives Chromium. One request a line on standard input, one answer a line on standard output, all
// JSON: {"steps": JAVASCRIPT, "values": {...}} runs steps in a page of puppeteer, which are the
// body of an asynchronous function; the answer is {"result": ...} or {"failure": TEXT}.
'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const readline = require('readline');
const { pathToFileURL } = require('url');
const puppeteer = require('puppeteer-core');

const ALONE = [
  ...['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--disable-lcd-text'],
];
const address = pathToFileURL(process.argv[2]).href;
const CHECKER = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const Steps = Object.getPrototypeOf(async () => {}).constructor;

/** Open the page anew, with an image if one is named; whatever it asks for is noted. */
async function open(page, image, { query = '', width = 1400, height = 900, scheme = 'light' } = {}) {
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  page.asked = [];
  page.errors = [];
  await page.goto(address + query);
  if (image) await (await page.$('#file')).uploadFile(image);
  if (image || query) await done(page);
}

/** Wait until the page has done what it was told. */
function done(page) {
  return page.waitForFunction(() => {
    const isBusy = document.querySelector('#work:not([hidden])[aria-busy=true]');
    return document.getElementById('status').textContent !== '' && !isBusy;
  });
}

/** The rules of accessibility that the page breaks. */
async function axe(page) {
  await page.evaluate(CHECKER); // not as a script of the page, which would be refused
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}

async function newPage(browser) {
  const page = await browser.newPage();
  page.on('request', (request) => page.asked.push(request.url()));
  page.on('pageerror', (error) => page.errors.push(error.message));
  page.on('dialog', (dialog) => { page.errors.push(dialog.message()); dialog.dismiss(); });
  page.asked = [];
  page.errors = [];
  return page;
}

async function main() {
  const browser = await puppeteer.launch({ executablePath: chromium(), headless: true, args: ALONE });
  const page = await newPage(browser);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      const { steps, values } = JSON.parse(line);
      const names = ['page', 'open', 'done', 'axe', ...Object.keys(values)];
      const given = [page, (...words) => open(page, ...words), () => done(page), () => axe(page)];
      const result = await new Steps(...names, steps)(...given, ...Object.values(values));
      reply = { result: result === undefined ? null : result };
    } catch (error) {
      reply = { failure: String(error.stack || error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  await browser.close();
}

function chromium() {
  return execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
}

main();
