import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printable } from '../base/printable.ts';
import { parsePe } from '../image/pe/index.ts';
import { fileError, optionError, systemProblem } from './errors.ts';
import { ExitStatus } from './exit-status.ts';
import { mostDriverBytes, readInputFile } from './input-files.ts';
import { type OfferedDriver, type PageServer, servePage } from './page-server.ts';
import { mostSourceBytes, sourceName } from './source-files.ts';
import { findSymbols, mostSymbolBytes } from './symbol-files.ts';
import type { Terminal } from './terminal.ts';

export interface ManagerCommandOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Whether a browser is opened. */
  readonly open: boolean;
}

/** Source files beside a driver that are offered with it. */
const mostSources = 200;

/** `poolproof manager`: serves the page to this machine until it is interrupted. */
export async function managerCommand(
  paths: readonly string[],
  { port, open }: ManagerCommandOptions,
  terminal: Terminal,
): Promise<ExitStatus> {
  const offered: OfferedDriver[] = [];
  for (const path of paths) offered.push(await offer(path));
  const server = await listen(port, offered);
  terminal.out(`Driver Verifier Manager: ${server.url}\nOnly this machine can reach it. Ctrl+C ends it.\n`);
  if (open) openBrowser(server.url, terminal);
  await interrupted();
  await server.close();
  return ExitStatus.Clean;
}

async function listen(port: number, offered: readonly OfferedDriver[]): Promise<PageServer> {
  try {
    return await servePage({ folder: pageFolder(), token: randomBytes(24).toString('base64url'), offered, port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
    const problem = code === 'EADDRINUSE' ? 'it is in use' : systemProblem(error);
    throw optionError('--port', String(port), `a port that is free (${problem})`);
  }
}

/** Throws PoolproofError for what is no driver. */
async function offer(path: string): Promise<OfferedDriver> {
  const name = basename(path);
  const pe = parsePe(readInputFile(path), name);
  const { candidates } = await findSymbols(path, pe, {
    paths: [],
    fallback: process.env._NT_SYMBOL_PATH,
    isDownloadWanted: false,
  });
  const folder = dirname(path);
  const sources = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && sourceName.test(entry.name))
    .slice(0, mostSources);
  return {
    name,
    files: [
      { name, path, mostBytes: mostDriverBytes },
      ...candidates.map((symbols) => ({
        name: basename(symbols.name),
        path: symbols.name,
        mostBytes: mostSymbolBytes,
      })),
      ...sources.map((entry) => ({ name: entry.name, path: join(folder, entry.name), mostBytes: mostSourceBytes })),
    ],
  };
}

/** Beside the built command; or, run from its sources, in the repository's dist. Throws PP6001 if it was not built. */
function pageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const places = [join(here, '../manager'), join(here, '../../dist/manager')];
  const found = places.find((place) => existsSync(join(place, 'index.html')));
  if (found === undefined)
    throw fileError(places[1] as string, 'no such folder: the page has not been built (npm run build)');
  return found;
}

/** Leaves it to the user if there is no browser. */
function openBrowser(url: string, terminal: Terminal): void {
  const [command, ...args] =
    process.platform === 'win32'
      ? ['rundll32', 'url.dll,FileProtocolHandler', url]
      : [process.platform === 'darwin' ? 'open' : 'xdg-open', url];
  const child = spawn(command as string, args, { stdio: 'ignore', detached: true });
  child.on('error', () => terminal.err(`poolproof: no browser could be opened with ${printable(command as string)}\n`));
  child.unref();
}

/** Ctrl+C, or being told to end. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
