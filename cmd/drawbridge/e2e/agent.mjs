// A user agent without a browser: it keeps cookies, follows redirects and fills in the forms it meets.

export class Agent {
  #cookies = new Map(); // by host, path and name; ports do not count, as in a browser
  #stopAt;

  /** Goes to an address, redirects included, and returns {url, status, headers, body}. */
  async visit(address, init = { method: 'GET' }) {
    let url = new URL(address);
    for (let hops = 0; hops < 20; hops++) {
      if (this.#stopAt && url.href.startsWith(this.#stopAt)) return { url: url.href, reached: true, posted: init.body };
      const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie: this.#cookiesFor(url) } });
      this.#keep(url, response.headers.getSetCookie());
      const body = await response.text();
      const location = response.headers.get('location');
      if (!location || response.status < 300 || response.status > 399) {
        return { url: url.href, status: response.status, headers: Object.fromEntries(response.headers), body };
      }
      url = new URL(location, url);
      if (![307, 308].includes(response.status)) init = { method: 'GET' };
    }
    throw new Error(`more than 20 redirects, the last to ${url}`);
  }

  /** Submits the first form of a page: `values` by field name; a button is chosen by value where `values` names it. */
  async submit(page, values) {
    const form = parseForm(page, values);
    if (!form) throw new Error(`no form at ${page.url} (${page.status}): ${page.body.slice(0, 500)}`);
    if (form.method === 'get') return this.visit(`${form.action.split('?')[0]}?${form.fields}`);
    return this.visit(form.action, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(page.url).origin, referer: page.url },
      body: form.fields.toString(),
    });
  }

  /**
   * Goes to an address and submits form after form until a redirect to `stopAt`, which is not visited: returns its whole
   * address, what would have been posted there, and the addresses of the pages on the way.
   */
  async walk(address, values, stopAt) {
    this.#stopAt = stopAt;
    let page = await this.visit(address);
    const pages = [page.url];
    while (!page.reached) {
      if (pages.length > 8 || page.status >= 400) throw new Error(`stuck at ${page.url} (${page.status}): ${page.body.slice(0, 500)}`);
      page = await this.submit(page, values);
      pages.push(page.url);
    }
    return { url: page.url, pages, posted: page.posted };
  }

  #cookiesFor(url) {
    const sent = [...this.#cookies.values()].filter((c) => c.host === url.hostname && covers(c.path, url.pathname));
    return sent.sort((a, b) => b.path.length - a.path.length).map((c) => `${c.name}=${c.value}`).join('; ');
  }

  #keep(url, headers) {
    for (const header of headers) {
      const [pair, ...rest] = header.split(';').map((part) => part.trim());
      const attributes = Object.fromEntries(rest.map((text) => text.split(/=(.*)/s)).map(([key, value = '']) => [key.toLowerCase(), value]));
      const [name, value] = pair.split(/=(.*)/s);
      const path = attributes.path?.startsWith('/') ? attributes.path : url.pathname.replace(/\/[^/]*$/, '') || '/';
      const key = `${url.hostname} ${path} ${name}`;
      const gone = 'max-age' in attributes ? Number(attributes['max-age']) <= 0 : Date.parse(attributes.expires) <= Date.now();
      if (gone) this.#cookies.delete(key);
      else this.#cookies.set(key, { host: url.hostname, path, name, value });
    }
  }
}

function covers(cookiePath, path) {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`);
}

/** The first form of a page, filled in: {action, method, fields}. */
function parseForm(page, values) {
  const [, opening, inside] = page.body.match(/<form\b([^>]*)>(.*?)<\/form>/is) ?? [];
  if (opening === undefined) return undefined;
  const form = attributesOf(opening);
  const fields = new URLSearchParams();
  for (const [, text] of inside.matchAll(/<input\b([^>]*)>/gis)) {
    const { name, value = '', type = 'text', ...flags } = attributesOf(text);
    if (!name || type === 'submit') continue;
    if (['checkbox', 'radio'].includes(type) && !('checked' in flags) && values[name] !== value) continue;
    fields.append(name, type === 'hidden' ? value : values[name] ?? value);
  }
  const button = pickButton(page.body, inside, form.id, values);
  if (button?.name) fields.append(button.name, button.value ?? '');
  return { action: new URL(form.action || page.url, page.url).href, method: (form.method ?? 'get').toLowerCase(), fields };
}

function pickButton(body, inside, formId, values) {
  const within = [...inside.matchAll(/<(?:button\b|input\b(?=[^>]*type=["']?submit))([^>]*)>/gis)];
  const apart = [...body.matchAll(/<button\b([^>]*)>/gis)].filter(([, text]) => formId && attributesOf(text).form === formId);
  const buttons = [...within, ...apart].map(([, text]) => attributesOf(text)).filter((b) => b.type !== 'button');
  return buttons.find((b) => b.name && values[b.name] === b.value) ?? buttons[0];
}

function attributesOf(text) {
  const found = text.matchAll(/([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g);
  return Object.fromEntries([...found].map(([, name, a, b, c]) => [name.toLowerCase(), unescape(a ?? b ?? c ?? '')]));
}

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, dec, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    return dec ? String.fromCodePoint(Number(dec)) : named[name] ?? all;
  });
}
