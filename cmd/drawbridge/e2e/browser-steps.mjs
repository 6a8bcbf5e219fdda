// Takes Chromium through a list of steps and prints one JSON line {pages, problems}: what each page that a step led to
// says, {name, url, status, title, text, screenshot}, and what went wrong inside the pages.
//
// env: STEPS (JSON list of {visit: address} · {follow: selector} to click and wait for the next page · {fill: selector,
// value}; visit and follow take the `name` of the screenshot, and `until`, how the address begins of the page to which
// the browser then goes by itself) · LOOKS (if set, our pages are pictured in the dark, narrow and with large text
// as well) · SCREENSHOTS, CHROMIUM and LANGUAGE as in browser.mjs
import { looks, withBrowser } from './browser.mjs';
import { env } from './kit.mjs';

console.log(JSON.stringify(await withBrowser(async (browser) => {
  const { page } = browser;
  const pages = [];
  let status;
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) status = response.status();
  });
  for (const step of JSON.parse(env('STEPS'))) {
    if (step.fill) {
      await page.locator(step.fill).fill(step.value);
      continue;
    }
    const screenshot = await take(browser, step);
    browser.problems.push(...await looks(page, screenshot, process.env.LOOKS));
    pages.push({ name: step.name, url: page.url(), status, title: await page.title(), text: await page.locator('body').innerText(), screenshot });
  }
  return { pages, problems: browser.problems };
})));

/** Takes the step, and a screenshot of where it leads to. */
async function take(browser, step) {
  if (!step.until) return step.visit ? browser.visit(step.visit, step.name) : browser.follow(step.follow, step.name);
  if (step.visit) await browser.page.goto(step.visit, { waitUntil: 'commit' });
  else await browser.page.locator(step.follow).first().click();
  await browser.page.waitForURL((at) => at.href.startsWith(step.until), { waitUntil: 'load' });
  return browser.shot(step.name);
}
