/** `poolproof manager`: who is answered and who is not, over real connections. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ExitStatus } from '../src/cli/exit-status.ts';
import { runCommandLine } from '../src/cli/main.ts';
import { type PageServer, servePage } from '../src/cli/page-server.ts';
import { plainStyle } from '../src/run/report/text.ts';
import { repository } from './end-to-end.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** With Node's own client: it sends what it is told, also as Host. */
function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString('latin1'),
        }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

const token = 'Zm9yIHRlc3Rz';
let folder: string;
let server: PageServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'poolproof-server-'));
  mkdirSync(join(folder, 'page/drivers'), { recursive: true });
  writeFileSync(join(folder, 'page/index.html'), '<!doctype html><html><head><title>page</title></head></html>');
  writeFileSync(join(folder, 'page/worker.js'), 'postMessage(1);');
  writeFileSync(join(folder, 'page/drivers/sample.sys'), 'sample');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'mine.sys'), 'a driver');
  server = await servePage({
    folder: join(folder, 'page'),
    token,
    port: 0,
    offered: [{ name: 'mine.sys', files: [{ name: 'mine.sys', path: join(folder, 'mine.sys'), mostBytes: 100 }] }],
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the server of the page', () => {
  it('serves the page below its token, with headers that keep it in', async () => {
    expect(server.url).toBe(`http://127.0.0.1:${server.port}/${token}/`);
    const { status, headers, body } = await ask(server.port, `/${token}/`);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(body).toContain('<meta name="poolproof-drivers" content="offered/drivers.json">');
    // As strict as on a static host, which sends no header.
    const [, own] = /Content-Security-Policy" content="([^"]+)"/.exec(
      readFileSync(join(repository, 'web/index.html'), 'utf8'),
    ) as RegExpExecArray;
    expect(headers['content-security-policy']).toBe(`${own}; frame-ancestors 'none'`);
    expect(own).toMatch(/^default-src 'none';/);
    expect(own).not.toMatch(/'unsafe-|https?:|\*/);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    expect(headers['set-cookie']).toBeUndefined();
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect((await ask(server.port, `/${token}/worker.js`)).headers['content-type']).toBe(
      'text/javascript; charset=utf-8',
    );
    expect(await ask(server.port, `/${token}`)).toMatchObject({ status: 302, headers: { location: `/${token}/` } });
  });

  it('refuses whoever lacks the token', async () => {
    const paths = [
      '/',
      '/index.html',
      '/worker.js',
      '/offered/drivers.json',
      '/x/',
      `/${token}x/`,
      `/${token.slice(1)}/`,
    ];
    for (const path of [...paths, `/?token=${token}`, `//${token}/`]) {
      const { status, headers, body } = await ask(server.port, path);
      expect({ path, status }).toEqual({ path, status: 403 });
      expect(body).not.toContain(token);
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
  });

  it('refuses other hosts, origins and sites, whatever they know', async () => {
    const own = `127.0.0.1:${server.port}`;
    const path = `/${token}/`;
    for (const headers of [
      { host: 'evil.example' },
      { host: `evil.example:${server.port}` },
      { host: '127.0.0.1' },
      { host: 'localhost' },
      { host: `[::1]:${server.port}` },
      { host: `127.0.0.1.:${server.port}` },
      { host: `0.0.0.0:${server.port}` },
      { host: `127.0.0.1:${server.port + 1}` },
      { host: own, origin: 'http://evil.example' },
      { host: own, origin: 'null' },
      { host: own, origin: `http://127.0.0.1:${server.port + 1}` },
      { host: own, origin: `https://${own}` },
      { host: own, origin: '' },
      { host: own, 'sec-fetch-site': 'cross-site' },
      { host: own, 'sec-fetch-site': 'same-site' },
    ]) {
      expect({ headers, status: (await ask(server.port, path, headers)).status }).toEqual({ headers, status: 403 });
    }
    for (const headers of [
      { host: own, origin: `http://${own}` },
      { host: `localhost:${server.port}`, origin: `http://localhost:${server.port}` },
      { host: own, 'sec-fetch-site': 'same-origin' },
    ]) {
      expect((await ask(server.port, path, headers)).status).toBe(200);
    }
  });

  it('serves nothing but the page', async () => {
    const paths = [
      '../secret.txt',
      '%2e%2e/secret.txt',
      '..%2fsecret.txt',
      'drivers/../../secret.txt',
      '..\\secret.txt',
      '..%5csecret.txt',
      '%2e%2e%2fsecret.txt',
      'index.html%00.txt',
      '__proto__',
      'constructor',
      'offered/__proto__/0',
    ];
    for (const path of [...paths, 'drivers', 'drivers/', 'nothing', '%00', '//etc/passwd']) {
      const { status, body } = await ask(server.port, `/${token}/${path}`);
      expect({ path, isServed: status < 400 }).toEqual({ path, isServed: false });
      expect(body).not.toContain('secret');
    }
    expect((await ask(server.port, `/${token}/drivers/sample.sys`)).body).toBe('sample');
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect((await ask(server.port, `/${token}/`, {}, method)).status).toBe(405);
    }
    expect(await ask(server.port, `/${token}/`, {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  it('offers the drivers that it was given, as they are now', async () => {
    const list = await ask(server.port, `/${token}/offered/drivers.json`);
    expect(JSON.parse(list.body)).toEqual([{ name: 'mine.sys', files: [{ name: 'mine.sys', url: 'offered/0/0' }] }]);
    expect((await ask(server.port, `/${token}/offered/0/0`)).body).toBe('a driver');
    writeFileSync(join(folder, 'mine.sys'), 'built again');
    expect((await ask(server.port, `/${token}/offered/0/0`)).body).toBe('built again');
    for (const path of ['offered/0/1', 'offered/1/0', 'offered/-1/0', 'offered/0/x', 'offered/9999999999999999999/0']) {
      expect((await ask(server.port, `/${token}/${path}`)).status).toBe(404);
    }
  });

  it('listens on this machine only', async () => {
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of others) {
      const answered = await new Promise((resolve) => {
        const socket = connect({ host: address, port: server.port });
        socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
        socket.setTimeout(2000, () => resolve(false));
      });
      expect({ address, answered }).toEqual({ address, answered: false });
    }
  });
});

describe('poolproof manager', () => {
  async function statusOf(args: readonly string[]): Promise<{ status: ExitStatus; err: string }> {
    let err = '';
    const terminal = { out: () => {}, err: (text: string) => (err += text), style: plainStyle };
    return { status: await runCommandLine(['manager', '--no-open', ...args], terminal, '0'), err };
  }

  it('says what is no driver and what is no port', async () => {
    expect(await statusOf(['no-such.sys'])).toEqual({
      status: ExitStatus.Usage,
      err: 'poolproof: no-such.sys: no such file\n',
    });
    expect((await statusOf(['package.json'])).err).toMatch(/^poolproof: package\.json: .*\n$/);
    expect((await statusOf(['--port', '70000'])).err).toBe(
      'poolproof: --port 70000: expected a number from 0 to 65535\n',
    );
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const { status, err } = await statusOf(['--port', String(port)]);
    expect(status).toBe(ExitStatus.Usage);
    expect(err).toMatch(/a port that is free \(it is in use\)|the page has not been built/);
    taken.close();
  });

  it('prints its address, offers drivers with what lies beside them, and ends at Ctrl+C', async () => {
    // Where the command finds its packages.
    const built = mkdtempSync(join(repository, 'node_modules/.poolproof-'));
    onTestFinished(() => rmSync(built, { recursive: true, force: true }));
    const build = spawn(process.execPath, ['build.mjs', '--out', built], { cwd: repository, stdio: 'inherit' });
    expect(await new Promise((resolve) => build.on('exit', resolve))).toBe(0);
    const driver = 'drivers/leaky-channel/leaky-channel';
    const child = spawn(process.execPath, [join(built, 'cli/poolproof.js'), 'manager', '--no-open', `${driver}.sys`], {
      cwd: repository,
      env: { ...process.env, NODE_PATH: join(repository, 'node_modules') },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
    await expect.poll(() => out + err, { timeout: 20_000 }).toMatch(/Ctrl\+C|Error/);
    const [, port, path] = /http:\/\/127\.0\.0\.1:(\d+)(\/[\w-]{32}\/)\n/.exec(out) ?? [];
    const page = await ask(Number(port), path ?? '');
    expect(page.body).toContain('<title>Driver Verifier Manager</title>');
    const [offered] = JSON.parse((await ask(Number(port), `${path}offered/drivers.json`)).body);
    expect(offered.files.map(({ name }: { name: string }) => name)).toEqual(
      ['sys', 'pdb', 'c'].map((end) => `leaky-channel.${end}`),
    );
    const pdb = await ask(Number(port), `${path}${offered.files[1].url}`);
    expect(pdb.body).toBe(readFileSync(join(repository, `${driver}.pdb`), 'latin1'));
    child.kill('SIGINT');
    expect(await ended).toEqual({ code: 0, signal: null });
    expect(err).toBe('');
  });
});
