/** RtlIpv4AddressToString and its relatives. */
import { nullVa, type Va, vaAdd } from '../../base/va.ts';
import { anyIrql } from '../declare/irql-ranges.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { PVOID, pointerTo, ULONG, USHORT } from '../declare/parameter-types.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../ntstatus.ts';
import { ipv4Text, ipv6Text } from './address-text.ts';

/** With its NUL; where that stands is the result. */
function write({ memory }: Nt, at: Va, text: string, isWide: boolean): Va {
  for (let index = 0; index <= text.length; index++) {
    const unit = index < text.length ? text.charCodeAt(index) : 0;
    if (isWide) memory.writeU16(vaAdd(at, index * 2), unit);
    else memory.writeU8(vaAdd(at, index), unit);
  }
  return vaAdd(at, text.length * (isWide ? 2 : 1));
}

/** Writes what fits in the length at `lengthAt` (in characters), which becomes the length with the NUL. */
function writeCounted(nt: Nt, at: Va, lengthAt: Va, text: string, isWide: boolean): number {
  if (lengthAt === nullVa) return STATUS_INVALID_PARAMETER;
  const room = nt.memory.readU32(lengthAt);
  nt.memory.writeU32(lengthAt, text.length + 1);
  if (at === nullVa || room < text.length + 1) return STATUS_INVALID_PARAMETER;
  write(nt, at, text, isWide);
  return STATUS_SUCCESS;
}

/** A port stands in network order. */
const portText = (port: number): string => `${((port & 0xff) << 8) | (port >> 8)}`;

const plain = (doc: string, bytes: number, text: (address: Uint8Array) => string, isWide: boolean) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { Addr: pointerTo('IN_ADDR'), S: PVOID },
    returns: 'PVOID',
    body: (nt, { Addr, S }) => write(nt, S, text(nt.memory.readBytes(Addr, bytes)), isWide),
  });

const ipv4Ex = (doc: string, isWide: boolean) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: { Address: pointerTo('IN_ADDR'), Port: USHORT, AddressString: PVOID, AddressStringLength: PVOID },
    returns: 'NTSTATUS',
    body: (nt, { Address, Port, AddressString, AddressStringLength }) => {
      if (Address === nullVa) return STATUS_INVALID_PARAMETER;
      const address = ipv4Text(nt.memory.readBytes(Address, 4));
      const text = Port === 0 ? address : `${address}:${portText(Port)}`;
      return writeCounted(nt, AddressString, AddressStringLength, text, isWide);
    },
  });

const ipv6Ex = (doc: string, isWide: boolean) =>
  ntRoutine({
    doc,
    irql: anyIrql,
    params: {
      Address: pointerTo('IN6_ADDR'),
      ScopeId: ULONG,
      Port: USHORT,
      AddressString: PVOID,
      AddressStringLength: PVOID,
    },
    returns: 'NTSTATUS',
    body: (nt, { Address, ScopeId, Port, AddressString, AddressStringLength }) => {
      if (Address === nullVa) return STATUS_INVALID_PARAMETER;
      const address = ipv6Text(nt.memory.readBytes(Address, 16));
      const scoped = ScopeId === 0 ? address : `${address}%${ScopeId}`;
      const text = Port === 0 ? scoped : `[${scoped}]:${portText(Port)}`;
      return writeCounted(nt, AddressString, AddressStringLength, text, isWide);
    },
  });

export const rtlAddressTexts = ntExports('ntoskrnl.exe', {
  RtlIpv4AddressToStringA: plain('ip2string.h; nf-ip2string-rtlipv4addresstostringa', 4, ipv4Text, false),
  RtlIpv4AddressToStringW: plain('ip2string.h; nf-ip2string-rtlipv4addresstostringw', 4, ipv4Text, true),
  RtlIpv6AddressToStringA: plain('ip2string.h; nf-ip2string-rtlipv6addresstostringa', 16, ipv6Text, false),
  RtlIpv6AddressToStringW: plain('ip2string.h; nf-ip2string-rtlipv6addresstostringw', 16, ipv6Text, true),
  RtlIpv4AddressToStringExA: ipv4Ex('ip2string.h; nf-ip2string-rtlipv4addresstostringexa', false),
  RtlIpv4AddressToStringExW: ipv4Ex('ip2string.h; nf-ip2string-rtlipv4addresstostringexw', true),
  RtlIpv6AddressToStringExA: ipv6Ex('ip2string.h; nf-ip2string-rtlipv6addresstostringexa', false),
  RtlIpv6AddressToStringExW: ipv6Ex('ip2string.h; nf-ip2string-rtlipv6addresstostringexw', true),
});
