/** Ports: those of the simulated bus have registers; no other hardware is there, so that a call names what the driver wanted. */
import { type Va, vaAdd, vaLow } from '../../base/va.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine, type Routine } from '../declare/nt-routine.ts';
import { type Outcome, unsupported } from '../declare/outcome.ts';
import { PVOID, ULONG } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';

const widths = { UCHAR: 1, USHORT: 2, ULONG: 4 } as const;

interface PortArguments {
  readonly Port: Va;
  readonly Value?: number;
  readonly Buffer?: Va;
  readonly Count?: number;
}

/** One access, or as many to the one port as the buffer holds. */
function access(nt: Nt, name: string, isRead: boolean, bytes: 1 | 2 | 4, args: PortArguments): Outcome {
  const { deviceRegisters } = nt.io;
  const port = vaLow(args.Port) & 0xffff;
  const gap = (): Outcome => unsupported(`${name} of port 0x${port.toString(16)}`);
  if (args.Buffer === undefined) {
    if (isRead) return deviceRegisters.readPort(port, bytes) ?? gap();
    return deviceRegisters.writePort(port, bytes, args.Value ?? 0) ? undefined : gap();
  }
  for (let index = 0; index < (args.Count ?? 0); index++) {
    const at = vaAdd(args.Buffer, index * bytes);
    if (isRead) {
      const value = deviceRegisters.readPort(port, bytes);
      if (value === undefined) return gap();
      writeValue(nt, at, bytes, value);
    } else if (!deviceRegisters.writePort(port, bytes, readValue(nt, at, bytes))) return gap();
  }
  return undefined;
}

export function readValue({ memory }: Nt, at: Va, bytes: 1 | 2 | 4): number {
  return bytes === 1 ? memory.readU8(at) : bytes === 2 ? memory.readU16(at) : memory.readU32(at);
}

export function writeValue({ memory }: Nt, at: Va, bytes: 1 | 2 | 4, value: number): void {
  if (bytes === 1) memory.writeU8(at, value);
  else if (bytes === 2) memory.writeU16(at, value);
  else memory.writeU32(at, value);
}

function ports(): Record<string, Routine> {
  const routines: Record<string, Routine> = {};
  for (const direction of ['READ', 'WRITE']) {
    for (const [width, bytes] of Object.entries(widths)) {
      for (const isBuffer of [false, true]) {
        const name = `${direction}_PORT_${isBuffer ? 'BUFFER_' : ''}${width}`;
        const isRead = direction === 'READ';
        routines[name] = ntRoutine({
          doc: `wdm.h; nf-wdm-${name.toLowerCase()}`,
          irql: anyIrql,
          params: isBuffer
            ? { Port: PVOID, Buffer: PVOID, Count: ULONG }
            : isRead
              ? { Port: PVOID }
              : { Port: PVOID, Value: ULONG },
          returns: isRead && !isBuffer ? 'ULONG' : 'VOID',
          support: { partial: 'ports of the simulated bus only: another one ends the run as incomplete' },
          body: (nt, args) => access(nt, name, isRead, bytes, args as PortArguments),
        });
      }
    }
  }
  return routines;
}

export const halPorts = ntExports('hal.dll', ports());
