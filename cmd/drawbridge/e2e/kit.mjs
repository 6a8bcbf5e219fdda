// What the programs in this folder share. Each of them listens on 127.0.0.1 only, says where in one JSON line on
// standard output, and ends with whoever started it: on SIGTERM, or when standard input closes.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Listens on env PORT (0 or absent: any free port). Requests wait until `handle` is called on what this returns. */
export async function listen() {
  const server = createServer();
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, handle: (handler) => server.on('request', (req, res) => answer(handler, req, res, url)) };
}

async function answer(handler, req, res, base) {
  try {
    await handler(req, res, new URL(req.url, base));
  } catch (err) {
    console.error(err);
    if (res.headersSent) res.destroy();
    else sendJSON(res, 500, { error: 'program_failed', message: String(err.message ?? err) });
  }
}

/** The one line that whoever started this program waits for. */
export function ready(name, details) {
  endWithStarter();
  console.log(JSON.stringify({ ready: name, ...details }));
}

function endWithStarter() {
  const end = () => process.exit(0);
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.stdin.on('end', end);
  process.stdin.on('close', end);
  process.stdin.resume();
}

export function sendJSON(res, status, value) {
  send(res, status, 'application/json; charset=utf-8', JSON.stringify(value, null, 2));
}

export function sendPage(res, status, title, body) {
  send(res, status, 'text/html; charset=utf-8', page(title, body));
}

export function redirect(res, location, headers = {}) {
  res.writeHead(303, { location: String(location), 'cache-control': 'no-store', ...headers }).end();
}

function send(res, status, type, body) {
  res.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

/** A page of HTML; the body is trusted, so escape what goes into it. */
export function page(title, body) {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}
label,button{display:block;margin:.75rem 0}input,button{font:inherit;padding:.4rem .8rem}</style></head>
<body><h1>${escape(title)}</h1>${body}</body></html>`;
}

export function escape(text) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(text).replace(/[&<>"']/g, (c) => entities[c]);
}

/** The whole body of a request as text. */
export async function readText(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

export async function readForm(req) {
  return new URLSearchParams(await readText(req));
}

/** One env variable; throws with its name where it is missing and has no fallback. */
export function env(name, fallback) {
  const value = process.env[name] ?? fallback;
  if (value === undefined) throw new Error(`set ${name}`);
  return value;
}

/** A space-separated env variable as a list. */
export function envList(name) {
  return (process.env[name] ?? '').split(' ').filter(Boolean);
}
