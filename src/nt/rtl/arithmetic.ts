/** Byte order and random numbers. */
import { type IrqlName, ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, ULONG, ULONG64, USHORT } from '../declare/parameter-types.ts';

const anyIrql = ['PASSIVE', 'HIGH'] as const satisfies readonly [IrqlName, IrqlName];
const maximumLong = 0x7fff_ffffn;

/** RtlUniform's generator, from its documentation: D. H. Lehmer's, kept below MAXLONG. */
export function uniform(seed: number): number {
  return Number((0x7fff_ffedn * BigInt(seed) + 0x7fff_ffc3n) % maximumLong);
}

export function swapBytes(value: bigint, bytes: number): bigint {
  let result = 0n;
  for (let index = 0; index < bytes; index++) result = (result << 8n) | ((value >> BigInt(index * 8)) & 0xffn);
  return result;
}

function random(doc: string) {
  return ntRoutine({
    doc,
    irql: ['PASSIVE', 'APC'],
    params: { Seed: PVOID },
    returns: 'ULONG',
    body: ({ memory }, { Seed }) => {
      const value = uniform(memory.readU32(Seed));
      memory.writeU32(Seed, value);
      return value;
    },
  });
}

export const rtlArithmetic = ntExports('ntoskrnl.exe', {
  RtlUshortByteSwap: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlushortbyteswap',
    irql: anyIrql,
    params: { Source: USHORT },
    returns: 'ULONG',
    body: (_nt, { Source }) => swapBytes(BigInt(Source), 2),
  }),
  RtlUlongByteSwap: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlulongbyteswap',
    irql: anyIrql,
    params: { Source: ULONG },
    returns: 'ULONG',
    body: (_nt, { Source }) => swapBytes(BigInt(Source), 4),
  }),
  RtlUlonglongByteSwap: ntRoutine({
    doc: 'wdm.h; nf-wdm-rtlulonglongbyteswap',
    irql: anyIrql,
    params: { Source: ULONG64 },
    returns: 'ULONG64',
    body: (_nt, { Source }) => swapBytes(Source, 8),
  }),
  /** Numbers from 0 to MAXLONG - 1, the same for the same seed; Windows' own sequence is another one. */
  RtlRandomEx: random('ntifs.h; nf-ntifs-rtlrandomex'),
  RtlRandom: random('ntifs.h; nf-ntifs-rtlrandom'),
});
