import { basename } from 'node:path';
import { parsePe } from '../image/pe/index.ts';
import { inspect } from '../run/inspect.ts';
import { inspectionText } from '../run/report/inspection-text.ts';
import { ExitStatus } from './exit-status.ts';
import { readInputFile } from './input-files.ts';
import { type Terminal, writeJson } from './terminal.ts';

export interface InspectCommandOptions {
  readonly json?: string;
}

/** `poolproof inspect`: what the image is, and which of its imports are supported. */
export function inspectCommand(path: string, options: InspectCommandOptions, terminal: Terminal): ExitStatus {
  const inspection = inspect(parsePe(readInputFile(path), basename(path)));
  if (options.json !== undefined) writeJson(options.json, inspection, terminal);
  if (options.json !== '-') terminal.out(inspectionText(inspection, terminal.style));
  return ExitStatus.Clean;
}
