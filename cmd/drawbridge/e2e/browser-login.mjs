// Signs a user in with Chromium: starts at a relying party, submits the first form of every page until the relying party
// is back, and prints one JSON line {url, result, screenshots, problems}; `result` is the JSON that the last page shows.
//
// env: START (address that begins the login) · UNTIL (prefix of the address that ends it) · LOGIN (default alice)
// · SCREENSHOTS and CHROMIUM as in browser.mjs
import { withBrowser } from './browser.mjs';
import { env } from './kit.mjs';

const until = env('UNTIL');

console.log(JSON.stringify(await withBrowser(async (browser) => {
  const { page } = browser;
  await browser.visit(env('START'));
  for (let pages = 0; !page.url().startsWith(until); pages++) {
    if (pages === 8) throw new Error(`stuck at ${page.url()}`);
    const login = page.locator('form input[name=login]');
    if (await login.count()) await login.fill(env('LOGIN', 'alice'));
    await browser.follow('form button');
  }
  const result = JSON.parse(await page.locator('body').innerText());
  return { url: page.url(), result, screenshots: browser.screenshots, problems: browser.problems };
})));
