// Walks through `drawbridge demo` with Chromium, the way its first page suggests, and prints one JSON line
// {stops, problems}: what each page says that the walk comes to, under the name of its screenshot, and what went wrong
// inside the pages: exceptions, console errors, and violations of their Content Security Policy.
//
// env: START (the demo's address) · IDLE_PATIENCE (milliseconds within which a session left alone must have ended,
// 45000) · SCREENSHOTS and CHROMIUM as in browser.mjs
import { Browser, withBrowser } from './browser.mjs';
import { env } from './kit.mjs';

const start = env('START');
const idlePatience = Number(env('IDLE_PATIENCE', '45000'));

/** What a page says, wherever it has such a thing; runs inside the page. */
function reading() {
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const text = (id) => document.getElementById(id)?.textContent.trim();
  const value = (id) => document.getElementById(id)?.value;
  const verdicts = (table) => Object.fromEntries(all(`${table} tr[data-claim]`, (row) => [row.dataset.claim, row.dataset.verdict]));
  return {
    heading: document.querySelector('h1')?.textContent.trim(), text: document.body.innerText,
    overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    who: text('who'), subject: text('subject'), session: text('sid'), refreshed: text('refreshed'), notice: text('notice'),
    state: document.getElementById('session-state')?.dataset.state, idle: document.getElementById('idle-out')?.dataset.state,
    verdicts: verdicts('#claims'), minted: verdicts('#claims-minted'),
    got: Object.fromEntries(all('#claims tr[data-claim]', (row) => [row.dataset.claim, row.querySelector('.got .value')?.textContent])),
    guard: all('#guard-lines li[data-claim]', (line) => line.dataset.claim),
    asked: { id: value('id'), email: value('email'), customer: value('customer') },
    call: { status: document.getElementById('call-latest')?.dataset.status, answer: document.querySelector('#call-latest .answer')?.textContent },
    deliveries: all('.delivery', (card) => ({ event: card.dataset.event, session: card.dataset.session })),
    letters: all('.letter', (card) => ({ to: card.dataset.to, link: card.querySelector('a')?.href })),
    counts: { webhooks: text('count-webhooks'), mail: text('count-mail') },
    audit: all('#audit tr[data-message]', (line) => line.dataset.message),
  };
}

class Walk {
  stops = {};
  problems = [];

  constructor(browser) {
    this.browser = browser;
    this.page = browser.page;
  }

  /** Hears of what goes wrong in any tab, also before a tab's first page is there. */
  async listen() {
    const context = this.page.context();
    context.on('weberror', (failure) => this.problems.push(String(failure.error())));
    context.on('console', (message) => {
      if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) this.problems.push(message.text());
    });
    await context.exposeBinding('tellOfViolation', (_, violation) => this.problems.push(violation));
    await context.addInitScript(() => addEventListener('securitypolicyviolation', (event) => {
      globalThis.tellOfViolation(`${event.documentURI} violates ${event.effectiveDirective} with ${event.blockedURI}`);
    }));
  }

  /** Takes a picture of the page in front and notes what it says. */
  async look(name, browser = this.browser) {
    await browser.shot(name);
    this.stops[name] = { url: browser.page.url(), title: await browser.page.title(), ...(await browser.page.evaluate(reading)) };
    return this.stops[name];
  }

  /** Clicks, waits for the page that this leads to, and looks at it. */
  async follow(selector, name, browser = this.browser) {
    await Promise.all([browser.page.waitForEvent('load'), browser.page.locator(selector).first().click()]);
    return this.look(name, browser);
  }

  /** Signs somebody in with the shop's button, and looks at the shop. */
  async signIn(button, user, name) {
    await this.follow(button, `${name}-login`);
    return this.follow(`#user-${user}`, name);
  }

  /** Waits for a selector's element on a page that renews itself, and looks. */
  async await(selector, name, timeout) {
    await this.page.locator(selector).first().waitFor({ timeout });
    return this.look(name);
  }

  /** Waits until the webhook's receiver shows how a session ended, and looks. */
  async delivery(event, session, name) {
    if (new URL(this.page.url()).pathname !== '/webhooks') await this.page.goto(`${start}webhooks`);
    return this.await(`.delivery[data-event=${event}][data-session="${session}"]`, name);
  }

  /** Opens the newest letter's link, which comes up in a tab of its own. */
  async openLetter(name) {
    const [tab] = await Promise.all([this.page.context().waitForEvent('page'), this.page.locator('.letter a').first().click()]);
    await tab.waitForLoadState('load');
    const beside = new Browser(tab, this.browser.folder);
    beside.screenshots = this.browser.screenshots; // one numbering
    await this.look(name, beside);
    return beside;
  }

  async claims() {
    await this.page.goto(start);
    await this.look('start');
    for (const name of ['users', 'webhooks', 'mail', 'audit', 'configuration']) await this.follow(`#nav-${name}`, `${name}-at-first`);
    await this.follow('#home', 'start-again');
    await this.signIn('#sign-in', 'alice', 'alice');
    const told = await this.page.context().request.get(`${start}visit.json`);
    this.stops.alice.visit = await told.json();
    for (const summary of await this.page.locator('summary').all()) await summary.click();
    await this.look('alice-everything-open');
    await this.follow('#refresh', 'alice-refreshed');
  }

  async endings() {
    const { session } = this.stops['alice-refreshed'];
    await this.follow('#sign-out', 'signed-out');
    await this.delivery('LOGOUT', session, 'webhook-logout');
    await this.follow('#nav-shop', 'start-after-sign-out');
    const again = await this.signIn('#sign-in', 'alice', 'alice-again');
    await this.follow('#kill', 'killed');
    await this.delivery('DESTROY', again.session, 'webhook-destroy');
    await this.follow('#nav-shop', 'killed-at-the-shop');
    await this.follow('#refresh', 'killed-and-refreshed');
  }

  async mails() {
    await this.signIn('#another', 'bob', 'bob');
    await this.follow('#to-users', 'users-bob');
    for (const op of ['get-by-id', 'get-by-email', 'get-by-customer', 'verification-mail']) await this.follow(`#op-${op}`, `bob-${op}`);
    await this.follow('#nav-mail', 'mail-box');
    await this.await('.letter', 'mail-verification');
    const confirmation = await this.openLetter('verification-link');
    await this.follow('#confirm', 'verification-confirmed', confirmation);
    await confirmation.page.close();
    await this.follow('#nav-users', 'users-bob-again');
    for (const op of ['get-by-id', 'verification-mail']) await this.follow(`#op-${op}`, `bob-confirmed-${op}`);
    await this.follow('#op-reset-mail', 'bob-reset-mail');
    await this.follow('#nav-mail', 'mail-box-again');
    await this.await('.letter >> nth=1', 'mail-reset');
    await (await this.openLetter('reset-link')).page.close();
  }

  async deletion() {
    await this.follow('#nav-shop', 'shop-bob');
    const { session } = await this.signIn('#another', 'carol', 'carol');
    await this.follow('#to-users', 'users-carol');
    await this.follow('#op-get-by-id', 'carol-unverified');
    await this.follow('#op-mark-verified', 'carol-mark-verified');
    await this.follow('#op-get-by-id', 'carol-verified');
    await this.follow('#op-delete', 'carol-delete');
    await this.follow('#op-get-by-id', 'carol-deleted');
    await this.delivery('DESTROY', session, 'webhook-deleted');
  }

  async idling() {
    await this.follow('#nav-shop', 'shop-carol');
    const { session } = await this.signIn('#another', 'alice', 'alice-idle');
    await this.follow('#idle', 'idle-waiting');
    await this.await('#idle-out[data-state=IDLE_TIMEOUT]', 'idle-ended', idlePatience);
    await this.delivery('IDLE_TIMEOUT', session, 'webhook-idle-timeout');
    await this.follow('#nav-shop', 'idle-at-the-shop');
  }

  async behind() {
    await this.follow('#nav-audit', 'audit');
    await this.follow('#nav-configuration', 'configuration');
  }
}

console.log(JSON.stringify(await withBrowser(async (browser) => {
  const walk = new Walk(browser);
  await walk.listen();
  for (const chapter of ['claims', 'endings', 'mails', 'deletion', 'idling', 'behind']) await walk[chapter]();
  return { stops: walk.stops, problems: walk.problems };
})));
