/** Conversions between UTF-16 and the OEM code page (437), and the tables that say how long characters are. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import type { Va } from '../../base/va.ts';
import { STRING } from '../structures/strings.ts';
import { readUnicodeString, utf16OfText } from './guest-text.ts';

const overflow = 0x8000_0005;

let kernel: KernelCaller;
let out: Va;
beforeEach(() => {
  kernel = new KernelCaller();
  out = block(0x10);
});

const block = (bytes: number): Va => kernel.nt.pool.allocateKernel(bytes, 'Test');
const status = (routine: string, ...args: number[]): number => kernel.call(routine, ...args) >>> 0;

function string(content: Uint8Array, at = block(0x10)): Va {
  const buffer = block(content.length + 1);
  kernel.nt.memory.writeBytes(buffer, content);
  STRING.Length.set(kernel.nt.memory, at, content.length);
  STRING.MaximumLength.set(kernel.nt.memory, at, content.length);
  STRING.Buffer.set(kernel.nt.memory, at, buffer);
  return at;
}

const wide = (text: string): Va => string(utf16OfText(text));
const bytesOf = (at: Va): number[] => [
  ...kernel.nt.memory.readBytes(STRING.Buffer.get(kernel.nt.memory, at), STRING.Length.get(kernel.nt.memory, at)),
];
const blocks = (): number => [...kernel.nt.pool.driverBlocks()].length;

describe('counted strings', () => {
  it('become UTF-16, in a block that the driver frees', () => {
    // é in code page 437
    expect(status('RtlOemStringToUnicodeString', out, string(Uint8Array.of(0x61, 0x82)), 1)).toBe(0);
    expect(readUnicodeString(kernel.nt.memory, out)).toBe('aé');
    expect(STRING.MaximumLength.get(kernel.nt.memory, out)).toBe(6);
    expect(blocks()).toBe(1);
    kernel.call('RtlFreeUnicodeString', out);
    expect(blocks()).toBe(0);
  });

  it.each([
    ['RtlUnicodeStringToCountedOemString', [0x61, 0x82], 2],
    ['RtlUpcaseUnicodeStringToOemString', [0x41, 0x90], 3],
  ])('%s', (routine, bytes, maximumLength) => {
    expect(status(routine, out, wide('aé'), 1)).toBe(0);
    expect(bytesOf(out)).toEqual(bytes);
    expect(STRING.MaximumLength.get(kernel.nt.memory, out)).toBe(maximumLength);
    expect(blocks()).toBe(1);
    kernel.call('RtlFreeOemString', out);
    expect(blocks()).toBe(0);
  });

  it.each([
    ['RtlUnicodeStringToCountedOemString', 1],
    ['RtlUpcaseUnicodeStringToOemString', 2],
    ['RtlOemStringToUnicodeString', 5],
  ])('%s does not fit in %i bytes', (routine, room) => {
    const source = routine.startsWith('RtlOem') ? string(Uint8Array.of(0x61, 0x62)) : wide('ab');
    string(new Uint8Array(room), out);
    expect(status(routine, out, source, 0)).toBe(overflow);
    expect(blocks()).toBe(0);
  });

  it('have sizes with their NUL', () => {
    expect(kernel.call('RtlxOemStringToUnicodeSize', string(Uint8Array.of(0x61, 0x62)))).toBe(6);
    expect(kernel.call('RtlxUnicodeStringToOemSize', wide('ab'))).toBe(3);
  });
});

describe('uncounted strings', () => {
  const written = (bytes: number): number[] => [...kernel.nt.memory.readBytes(out, bytes)];

  it('become UTF-16, cut to what there is room for', () => {
    const source = block(4);
    const count = block(4);
    kernel.nt.memory.writeBytes(source, Uint8Array.of(0x82, 0x62, 0x63));
    kernel.nt.memory.fill(out, 8, 0xcc);
    expect(status('RtlOemToUnicodeN', out, 5, count, source, 3)).toBe(0);
    expect(written(5)).toEqual([0xe9, 0, 0x62, 0, 0xcc]);
    expect(kernel.nt.memory.readU32(count)).toBe(4);
    expect(status('RtlOemToUnicodeN', out, 16, 0, source, 3)).toBe(0);
    expect(written(6)).toEqual([0xe9, 0, 0x62, 0, 0x63, 0]);
  });

  it.each([
    ['RtlUnicodeToOemN', [0x82, 0x62]],
    ['RtlUpcaseUnicodeToOemN', [0x90, 0x42]],
    ['RtlUnicodeToMultiByteN', [0xe9, 0x62]],
    ['RtlUpcaseUnicodeToMultiByteN', [0xc9, 0x42]],
  ])('%s', (routine, bytes) => {
    const source = block(8);
    const count = block(4);
    kernel.nt.memory.writeBytes(source, utf16OfText('ébc'));
    kernel.nt.memory.fill(out, 8, 0xcc);
    expect(status(routine, out, 2, count, source, 6)).toBe(0);
    expect(written(3)).toEqual([...bytes, 0xcc]);
    expect(kernel.nt.memory.readU32(count)).toBe(2);
  });

  it('have sizes without a NUL', () => {
    const source = block(8);
    kernel.nt.memory.fill(source, 8, 0x61);
    expect(status('RtlMultiByteToUnicodeSize', out, source, 3)).toBe(0);
    expect(kernel.nt.memory.readU32(out)).toBe(6);
    expect(status('RtlUnicodeToMultiByteSize', out, source, 6)).toBe(0);
    expect(kernel.nt.memory.readU32(out)).toBe(3);
  });
});

it('no character of the code pages has two bytes', () => {
  const at = (name: string): Va => kernel.nt.images.kernelExport('ntoskrnl.exe', name) as Va;
  const { memory } = kernel.nt;
  expect([memory.readU8(at('NlsMbCodePageTag')), memory.readU8(at('NlsMbOemCodePageTag'))]).toEqual([0, 0]);
  expect([memory.readU16(at('NlsAnsiCodePage')), memory.readU16(at('NlsOemCodePage'))]).toEqual([1252, 437]);
  for (const name of ['NlsLeadByteInfo', 'NlsOemLeadByteInfo']) {
    expect(memory.readBytes(memory.readVa(at(name)), 512).every((byte) => byte === 0)).toBe(true);
  }
  expect(memory.readU32(at('InitSafeBootMode'))).toBe(0);
});
