import { type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import { builtinAddress, symbolAt } from '../addresses.ts';
import type { DebuggerCommand } from '../command.ts';
import { evaluatePrefix } from '../expression.ts';
import type { Session } from '../session.ts';
import type { Site } from '../site.ts';
import { moduleName } from '../symbols.ts';

/** Bytes in front of an address in which its line's beginning is looked for. */
const lineSearchBytes = 0x400;

/** `ln` */
export const nearestSymbols: DebuggerCommand = {
  name: 'ln',
  usage: ['ln Address'],
  summary: 'lists the symbols nearest to an address',
  details: ['Its source line, the symbol at or before it, and the next one.'],
  completes: ['address'],
  run: (session, text) => {
    const given = text === '' ? session.target.nt.cpu.state.rip : vaFromU64(evaluatePrefix(session, text).value);
    // What an import slot holds leads to a routine of the kernel.
    const va = session.symbols.thunkAt(given)?.target?.va ?? given;
    const line = lineOf(session, va);
    if (line !== undefined) session.print(line);
    const near = session.symbols.around(va);
    if (near?.below === undefined && near?.above === undefined) return;
    const { below, above, image } = near;
    const left = below === undefined ? '' : `(${builtinAddress(below.va)})   ${symbolAt(session, va) ?? ''}`;
    const right = above === undefined ? '' : `(${builtinAddress(above.va)})   ${moduleName(image)}!${above.name}`;
    session.print(`${left}   |  ${right}`.trimEnd());
    const exact = session.symbols.exactly(va);
    if (exact.length === 0) return;
    session.print('Exact matches:');
    for (const symbol of exact) session.print(`    ${moduleName(image)}!${symbol.name}`);
  },
};

function innermost(session: Session, va: Va): Site | undefined {
  return session.stacks.at(va, va)[0];
}

/** `c:\src\toaster\ioctl.c(50)+0x15` */
function lineOf(session: Session, va: Va): string | undefined {
  const site = innermost(session, va);
  if (site?.file === undefined || site.line === undefined) return undefined;
  let offset = 0;
  while (offset < lineSearchBytes) {
    const before = innermost(session, vaAdd(va, -offset - 1));
    if (before?.line !== site.line || before.file !== site.file || before.function !== site.function) break;
    offset++;
  }
  return `${site.file}(${site.line})${offset === 0 ? '' : `+0x${offset.toString(16)}`}`;
}
