import { describe, expect, it } from 'vitest';
import { parseStep } from './step.ts';

const hex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));

describe('parseStep', () => {
  it.each([
    ['open \\\\.\\Leaky', { verb: 'open', path: '\\\\.\\Leaky', name: undefined }],
    ['h1=open \\Device\\With Space', { verb: 'open', path: '\\Device\\With Space', name: 'h1' }],
    [
      'ioctl 0x222000 in=0a0B out=8',
      { verb: 'ioctl', code: 0x222000, input: [{ bytes: hex('0a0b') }], outputBytes: 8, isAsync: false },
    ],
    [
      'ioctl h1 0x222000 in=01,@e1,02 async',
      { target: 'h1', input: [{ bytes: hex('01') }, { handleName: 'e1' }, { bytes: hex('02') }], isAsync: true },
    ],
    [
      'ioctl 1 in=0102*3,ff*0,00*2',
      { input: [{ bytes: hex('010201020102') }, { bytes: hex('') }, { bytes: hex('0000') }] },
    ],
    ['ioctl 0x222001 out=4 outdata=0102', { outputContents: [{ bytes: hex('0102') }] }],
    ['read 64', { verb: 'read', bytes: 64, target: undefined }],
    ['read h2 0x10 async', { verb: 'read', bytes: 16, target: 'h2', isAsync: true }],
    ['write h1 0102', { verb: 'write', target: 'h1', input: [{ bytes: hex('0102') }], offset: 0 }],
    ['read 64 at=0x1000', { verb: 'read', bytes: 64, offset: 4096, isAsync: false }],
    ['read h1 64 at=5000000000 async', { target: 'h1', bytes: 64, offset: 5_000_000_000, isAsync: true }],
    ['write h1 0102 at=7', { target: 'h1', input: [{ bytes: hex('0102') }], offset: 7 }],
    ['cancel h1', { verb: 'cancel', target: 'h1' }],
    ['close', { verb: 'close', target: undefined }],
    ['e1=event', { verb: 'event', name: 'e1' }],
    ['wait 100ms', { verb: 'wait', duration100ns: 1_000_000 }],
    ['wait 1.5s', { duration100ns: 15_000_000 }],
    ['  unload ', { verb: 'unload', text: 'unload' }],
  ])('reads %s', (text, step) => {
    expect(parseStep(text)).toMatchObject(step);
  });

  it('makes the same noise of the same seed', () => {
    const bytes = (text: string): unknown => parseStep(`write ${text}`);
    const noise = bytes('noise:64:7');
    expect(noise).toMatchObject({ input: [{ bytes: expect.objectContaining({ length: 64 }) }] });
    expect(bytes('noise:64:7')).toEqual(noise);
    expect(bytes('noise:64:8')).not.toMatchObject({ input: (noise as { input: unknown }).input });
    const [part] = (noise as { input: { bytes: Uint8Array }[] }).input;
    expect(new Set(part?.bytes).size).toBeGreaterThan(40);
  });

  it.each([
    ['', 'is empty'],
    ['jump', "'jump' is no step"],
    ['open', 'expected a path'],
    ['ioctl', 'expected a control code'],
    ['ioctl 0x1_2', 'expected a control code'],
    ['ioctl 0x1ffffffff', 'expected a control code'],
    ['ioctl 1 in=abc', "'abc' is neither hexadecimal bytes"],
    ['ioctl 1 in=00*9999999999', 'is more than'],
    ['ioctl 1 in=noise:99999999999', 'is more than'],
    ['ioctl 1 in=noise:x', "'noise:x' is neither"],
    ['ioctl 1 in=00*', "'00*' is neither"],
    ['ioctl 1 out=99999999999', 'is no number of bytes'],
    ['ioctl 1 foo', "'foo' is neither"],
    ['read many', 'expected a number of bytes'],
    ['read 5 at=far', "'at=far' is no byte offset"],
    ['read 5 at=99999999999999999', 'is no byte offset'],
    ['write at=1', 'expected hexadecimal data'],
    ['read 5 6', "'6' is one word too many"],
    ['wait soon', 'expected a time'],
    ['close async', "'async' goes with"],
    ['x=close', 'only open and event can be named'],
  ])('refuses %j', (text, message) => {
    expect(() => parseStep(text)).toThrow(
      expect.objectContaining({ code: 'PP5001', message: expect.stringContaining(message) }),
    );
  });
});
