// An SMTP catcher: takes every mail, delivers none.
//
// GET    /mails  [{envelope: {from, to}, from, to, subject, text, html, headers, links}], in order of arrival
// DELETE /mails  forgets them
//
// env: PORT (the pages) · SMTP_PORT (0 or absent: any free port) · TLS_CERT and TLS_KEY (files; offers STARTTLS)
// · SMTP_USER and SMTP_PASSWORD (asks for them)
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { listen, ready, sendJSON } from './kit.mjs';

const { TLS_CERT, TLS_KEY, SMTP_USER, SMTP_PASSWORD, SMTP_PORT = '0' } = process.env;
const mails = [];

const smtp = new SMTPServer({
  disableReverseLookup: true,
  disabledCommands: [...(TLS_CERT ? [] : ['STARTTLS']), ...(SMTP_USER ? [] : ['AUTH'])],
  ...(TLS_CERT && { cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) }),
  authOptional: !SMTP_USER,
  onAuth: ({ username, password }, session, done) => {
    const known = username === SMTP_USER && password === SMTP_PASSWORD;
    done(known ? null : new Error('Invalid username or password'), known ? { user: username } : undefined);
  },
  onData: (stream, session, done) => keep(stream, session).then(() => done(), done),
});
smtp.on('error', (err) => console.error(err));
const listening = once(smtp.listen(Number(SMTP_PORT), '127.0.0.1'), 'listening');

const { url, handle } = await listen();
handle((req, res, at) => {
  switch (`${req.method} ${at.pathname}`) {
    case 'GET /mails': return sendJSON(res, 200, mails);
    case 'DELETE /mails': mails.length = 0; return res.writeHead(204).end();
    default: return sendJSON(res, 404, { message: 'no such path' });
  }
});
await listening;
ready('smtp', { url, smtp: `127.0.0.1:${smtp.server.address().port}` });

async function keep(stream, session) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const mail = await PostalMime.parse(Buffer.concat(chunks));
  const { from, to, subject, text = '', html = '', headers } = mail;
  mails.push({
    envelope: { from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map((r) => r.address) },
    from, to, subject, text, html, headers,
    links: [...new Set(`${text} ${html}`.match(/https?:\/\/[^\s"'<>]+/g) ?? [])],
  });
}
