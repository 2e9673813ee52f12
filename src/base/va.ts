/**
 * Guest virtual addresses. A canonical x64 address is a sign-extended 48-bit value, so a JavaScript number holds one
 * exactly; kernel addresses are negative. All conversions between numbers, bigints and text stand here.
 */
declare const vaBrand: unique symbol;

/** A canonical guest virtual address as a signed number, or {@link nonCanonicalVa}. */
export type Va = number & { readonly [vaBrand]: true };

/** Stands for every non-canonical address. NaN compares unequal to all addresses, so no range test accepts it. */
export const nonCanonicalVa = Number.NaN as Va;

export const nullVa = 0 as Va;

const two32 = 0x1_0000_0000;

/** The address that a 64-bit value names; {@link nonCanonicalVa} if bits 63..47 are not all equal. */
export function vaFromU64(value: bigint): Va {
  const signed = BigInt.asIntN(64, value);
  return signed === BigInt.asIntN(48, signed) ? (Number(signed) as Va) : nonCanonicalVa;
}

/** As {@link vaFromU64}, from two 32-bit halves (of either sign). */
export function vaFromHalves(low: number, high: number): Va {
  const signedHigh = high | 0;
  return signedHigh >= -0x8000 && signedHigh < 0x8000 ? ((signedHigh * two32 + (low >>> 0)) as Va) : nonCanonicalVa;
}

/** {@link nonCanonicalVa} gives back a value that is not canonical, though not the one that it came from. */
export function vaToU64(va: Va): bigint {
  return Number.isNaN(va) ? 0x8000_0000_0000_0000n : BigInt.asUintN(64, BigInt(va));
}

/** Bits 31..0 of an address, unsigned. */
export function vaLow(va: Va): number {
  // Not a number stays one: a DataView stores it as zero.
  return Number.isNaN(va) ? va : va >>> 0;
}

/** Bits 63..32 of an address, signed; of {@link nonCanonicalVa} those that {@link vaToU64} gives. */
export function vaHigh(va: Va): number {
  return Number.isNaN(va) ? -0x8000_0000 : Math.floor(va / two32);
}

/** `va + bytes`; the caller knows that the sum stays canonical or does not use it before a memory access checks it. */
export function vaAdd(va: Va, bytes: number): Va {
  return (va + bytes) as Va;
}

/** Whether [va, va + bytes) lies in [start, start + size): by subtraction, so that nothing overflows. */
export function vaInRange(va: Va, start: Va, sizeBytes: number, bytes = 1): boolean {
  const offset = va - start;
  return offset >= 0 && offset + bytes <= sizeBytes;
}

/** ``fffff803`1a2b3c40``, as the debugger writes it. */
export function formatVa(va: Va): string {
  const digits = vaDigits(va);
  return `${digits.slice(0, 8)}\`${digits.slice(8)}`;
}

/** `0xfffff8031a2b3c40`, as JSON reports write it. */
export function hexVa(va: Va): string {
  return Number.isNaN(va) ? 'non-canonical' : `0x${vaToU64(va).toString(16)}`;
}

function vaDigits(va: Va): string {
  return Number.isNaN(va) ? 'noncanonical????' : vaToU64(va).toString(16).padStart(16, '0');
}
