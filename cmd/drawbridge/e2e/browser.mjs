// Chromium, driven by playwright-core, with a screenshot of every page it comes to.
//
// env: SCREENSHOTS (folder; default a new one under the system's temporary folder, never inside the repository)
// · CHROMIUM (default /usr/bin/chromium) · LANGUAGE (what the browser asks for; default en-US)
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** Runs `drive` with a Browser of its own and closes it afterwards, also when `drive` throws. */
export async function withBrowser(drive) {
  const chrome = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: flags });
  try {
    const context = await chrome.newContext({ viewport: { width: 1200, height: 900 }, locale: process.env.LANGUAGE || 'en-US' });
    context.setDefaultTimeout(15_000);
    return await drive(new Browser(await context.newPage(), screenshotFolder()));
  } finally {
    await chrome.close();
  }
}

/** One page with its screenshots; `page` is playwright's own, for everything that is not here. */
export class Browser {
  screenshots = [];
  /** What went wrong inside the pages: uncaught exceptions and console errors, but for an icon that nobody asked for. */
  problems = [];

  constructor(page, folder) {
    this.page = page;
    this.folder = folder;
    page.on('pageerror', (err) => this.problems.push(String(err)));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) this.problems.push(message.text());
    });
  }

  /** Goes to an address and takes a screenshot. */
  async visit(url, name) {
    await this.page.goto(url, { waitUntil: 'load' });
    return this.shot(name);
  }

  /** Clicks the first element that the selector finds, waits for the page it leads to, and takes a screenshot. */
  async follow(selector, name) {
    await Promise.all([this.page.waitForEvent('load'), this.page.locator(selector).first().click()]);
    return this.shot(name);
  }

  /** A screenshot of the whole page as NN-name.png, by default under the first step of its path; returns where it is. */
  async shot(name = new URL(this.page.url()).pathname.split('/')[1] || 'start') {
    const file = `${String(this.screenshots.length + 1).padStart(2, '0')}-${name.replace(/[^\w-]+/g, '-')}.png`;
    const path = join(this.folder, file);
    await this.page.screenshot({ path, fullPage: true });
    this.screenshots.push(path);
    return path;
  }
}

/**
 * What is wrong with one of our pages where it is narrow, or its text large: whatever has to be scrolled sideways. With
 * `pictures` it is pictured in the dark, and narrow, too. Pages of others are left alone.
 */
export async function looks(page, screenshot, pictures) {
  if (!(await page.locator('main[id]').count()) || !(await page.locator('meta[name=color-scheme]').count())) return [];
  const problems = [];
  const usual = page.viewportSize();
  const picture = async (look) => {
    if (pictures) await page.screenshot({ path: screenshot.replace(/\.png$/, `-${look}.png`), fullPage: true });
  };
  const fits = async (look) => {
    const [has, needs] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
    if (needs > has) problems.push(`${page.url()}: ${look}, it is ${needs} wide and has ${has}`);
  };
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture('dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 320, height: 640 });
  await fits('narrow');
  await picture('narrow');
  await page.setViewportSize({ width: 640, height: 900 });
  await page.evaluate(() => { document.documentElement.style.fontSize = '200%'; });
  await fits('with large text');
  await picture('large');
  await page.evaluate(() => { document.documentElement.style.fontSize = ''; });
  await page.setViewportSize(usual);
  return problems;
}

function screenshotFolder() {
  const wanted = process.env.SCREENSHOTS;
  if (!wanted) return mkdtempSync(join(tmpdir(), 'drawbridge-screenshots-'));
  const repository = resolve(import.meta.dirname, '../../..');
  const fromRepository = relative(repository, resolve(wanted));
  if (!fromRepository.startsWith('..')) throw new Error(`SCREENSHOTS must not be inside the repository: ${wanted}`);
  mkdirSync(wanted, { recursive: true });
  return resolve(wanted);
}
