/** Requests that were completed and are not complete; the run went on, as Windows does. */
import { hexVa, type Va } from '../../base/va.ts';
import type { CallStackReader } from '../../debugger/call-stack.ts';
import { statusText } from '../../nt/ntstatus.ts';
import type { Machine } from '../machine.ts';
import type { Violation } from './report.ts';

export function wrongCompletions({ irpCompletionChecks, drivers }: Machine, stacks: CallStackReader): Violation[] {
  return [...irpCompletionChecks.all()].map(({ wrong, value, stack: addresses, count, imageIndex }) => {
    const stack = stacks.read(addresses);
    const how =
      wrong === 'status' ? `with ${statusText(value)}` : `while its cancel routine was set (${hexVa(value as Va)})`;
    const times = count === 1 ? '' : `, ${count} times`;
    const driver = drivers.find(({ image }) => image.index === imageIndex);
    return {
      kind: 'irp-completion' as const,
      bugCheck: null,
      summary: `an IRP was completed ${how}${times}; with I/O verification Windows stops with bug check 0xC9, parameter 1 ${wrong === 'status' ? '0x6' : '0x7'}`,
      ...(drivers.length === 1 || driver === undefined ? {} : { driver: driver.file.name }),
      site: stacks.driverSite(stack),
      stack,
    };
  });
}
