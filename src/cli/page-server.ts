/**
 * Serves the page to this machine's user and to nobody else: on 127.0.0.1 only, below a random path.
 *
 * The token stands in the path (`http://127.0.0.1:PORT/TOKEN/`), not in a cookie: browsers send cookies of 127.0.0.1 to
 * every port of it, so another server there would be told the token; and all of the page's addresses are relative, so each
 * request has it by itself. `Referrer-Policy: no-referrer` keeps it from leaving.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, relative, sep } from 'node:path';
import { serve } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { readInputFile } from './input-files.ts';

/** A driver that is offered in the page, with the files that belong to it; the first one is the driver. */
export interface OfferedDriver {
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly path: string; readonly mostBytes: number }[];
}

export interface PageServerOptions {
  /** Where the built page is. */
  readonly folder: string;
  readonly token: string;
  readonly offered: readonly OfferedDriver[];
  /** 0: any that is free. */
  readonly port: number;
}

export interface PageServer {
  /** With the token. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};
const binary = 'application/octet-stream';

const headers: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  'Cache-Control': 'no-store',
};
/** Where the page finds what is offered; it asks only if its document says so. */
const offeredList = 'offered/drivers.json';

/** Listens. Rejects with the system's error if it can't. */
export function servePage(options: PageServerOptions): Promise<PageServer> {
  // Known when it listens; a request's own idea of it comes from whoever made the request.
  let ownPort = options.port;
  const app = pageApplication(options, () => ownPort);
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: options.port }, ({ port }: AddressInfo) => {
      ownPort = port;
      resolve({ url: `http://127.0.0.1:${port}/${options.token}/`, port, close: () => closed(server as Server) });
    });
    server.on('error', reject);
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function pageApplication({ folder, token, offered }: PageServerOptions, port: () => number): Hono {
  const files = new Map(filesBelow(folder).map((path) => [relative(folder, path).split(sep).join('/'), path]));
  const app = new Hono();
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    const refusal = refusalOf(context, token, port());
    if (refusal !== undefined) return context.text(`${refusal}\n`, 403);
    if (!['GET', 'HEAD'].includes(context.req.method))
      return context.text('Only GET and HEAD.\n', 405, { Allow: 'GET, HEAD' });
    await next();
    return undefined;
  });
  app.get('/:token', (context) => context.redirect(`/${token}/`));
  app.get(`/:token/${offeredList}`, (context) =>
    context.json(
      offered.map(({ name, files: of }, driver) => ({
        name,
        files: of.map((file, at) => ({ name: file.name, url: `offered/${driver}/${at}` })),
      })),
    ),
  );
  app.get('/:token/offered/:driver{[0-9]+}/:file{[0-9]+}', (context) => {
    const { driver, file } = context.req.param();
    const found = offered[Number(driver)]?.files[Number(file)];
    // Read anew each time: the driver may have been built again.
    return found === undefined
      ? context.notFound()
      : bytes(context, readInputFile(found.path, found.mostBytes), binary);
  });
  app.get('/:token/*', (context) => {
    const name = context.req.path.slice(token.length + 2) || 'index.html';
    const path = files.get(name);
    if (path === undefined) return context.notFound();
    if (name === 'index.html') {
      return context.body(withOffer(readFileSync(path, 'utf8')), 200, { 'Content-Type': types['.html'] as string });
    }
    return bytes(context, readFileSync(path), types[extname(name)] ?? binary);
  });
  app.notFound((context) => context.text('Not here.\n', 404));
  app.onError((error, context) => context.text(`${error.message}\n`, 500));
  return app;
}

function bytes(context: Context, body: Uint8Array, type: string): Response {
  return context.body(new Uint8Array(body), 200, { 'Content-Type': type });
}

/** Why a request is not answered: a page elsewhere may send any, but not with these. */
function refusalOf({ req }: Context, token: string, port: number): string | undefined {
  // A name that leads here (DNS rebinding) is not ours.
  const hosts = ['127.0.0.1', 'localhost'].map((name) => (port === 80 ? name : `${name}:${port}`));
  const host = req.header('host');
  if (host === undefined || !hosts.includes(host)) return 'This host is not served here.';
  const origin = req.header('origin');
  if (origin !== undefined && origin !== `http://${host}`) return 'Requests of other origins are refused.';
  const site = req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'Requests of other sites are refused.';
  if (!isEqual(req.path.split('/')[1] ?? '', token))
    return 'The address lacks its token: use the one that was printed.';
  return undefined;
}

/** In the same time, whatever is alike. */
function isEqual(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}

function withOffer(html: string): string {
  return html.replace('<head>', `<head>\n    <meta name="poolproof-drivers" content="${offeredList}">`);
}

/** Asked for once: nothing else can be reached, however a path is spelt. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}
