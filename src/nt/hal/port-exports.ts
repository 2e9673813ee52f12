/** Port and register access: there is no hardware behind any of it, so that a call names what the driver wanted. */
import type { Va } from '../../base/va.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine, type Routine } from '../declare/nt-routine.ts';
import { unsupported } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';

const names = ['UCHAR', 'USHORT', 'ULONG'] as const;

function ports(): Record<string, Routine> {
  const routines: Record<string, Routine> = {};
  for (const direction of ['READ', 'WRITE']) {
    for (const width of names) {
      for (const isBuffer of [false, true]) {
        const name = `${direction}_PORT_${isBuffer ? 'BUFFER_' : ''}${width}`;
        routines[name] = ntRoutine({
          doc: `wdm.h; nf-wdm-${name.toLowerCase()}`,
          irql: anyIrql,
          params: isBuffer ? { Port: PVOID, Buffer: PVOID, Count: ULONG } : { Port: PVOID, Value: ULONG },
          returns: direction === 'READ' && !isBuffer ? 'ULONG' : 'VOID',
          support: { partial: 'there is no hardware: every call ends the run as incomplete' },
          body: (_nt, args) => unsupported(`${name} of port 0x${portOf(args as { readonly Port: Va })}`),
        });
      }
    }
  }
  return routines;
}

const portOf = ({ Port }: { readonly Port: Va }): string => Port.toString(16);

export const halPorts = ntExports('hal.dll', ports());
