#!/usr/bin/env node
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ExitStatus } from './exit-status.ts';
import { installedVersion } from './input-files.ts';
import { runCommandLine } from './main.ts';
import { styleFor } from './terminal.ts';

// The reader of a pipe may leave early (`| head`); that is no error. Node's own status for others would mean a violation.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    if (stream === process.stdout) process.stderr.write(`poolproof: standard output: ${error.message}\n`);
    process.exit(ExitStatus.Usage);
  });
}

const terminal = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  style: styleFor(process.stdout.isTTY, process.env),
  // Not opened before it is needed.
  get input() {
    return { stream: process.stdin, screen: process.stdin.isTTY && process.stdout.isTTY ? process.stdout : undefined };
  },
  progress: process.stderr.isTTY
    ? { write: (text: string) => void process.stderr.write(text), columns: process.stderr.columns || 80 }
    : undefined,
};
const version = installedVersion(dirname(fileURLToPath(import.meta.url)));

// Not process.exit(): what was written to a pipe must arrive.
process.exitCode = await runCommandLine(process.argv.slice(2), terminal, version);
