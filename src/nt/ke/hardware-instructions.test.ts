import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { vaAdd, vaToU64 } from '../../base/va.ts';
import { KDPC, KTIMER } from '../structures/ke.ts';
import { timeIncrement100ns } from './clock.ts';

/** Runs code as a system thread's routine. */
function run(code: readonly number[], prepare: (kernel: KernelCaller) => void = () => {}) {
  const kernel = new KernelCaller({}, { code });
  const { nt, image } = kernel;
  prepare(kernel);
  const { systemThread } = nt.scheduler;
  nt.scheduler.start(systemThread, vaAdd(image.base, image.pe?.entryPointRva ?? 0), []);
  nt.run(() => nt.scheduler.thread(systemThread).state === 'idle');
  return { nt, image, result: nt.scheduler.thread(systemThread).result, end: nt.end.value };
}

const ret = 0xc3;
// mov ecx,<index>; rdmsr; shl rdx,32; or rax,rdx; ret
const readRegister = (...index: number[]) => [
  0xb9,
  ...index,
  0x0f,
  0x32,
  0x48,
  0xc1,
  0xe2,
  0x20,
  0x48,
  0x09,
  0xd0,
  ret,
];
const named = (name: string) => ({ kind: 'unsupported', what: 'instruction', name });

describe('hlt', () => {
  // hlt; mov eax,5; ret
  const halt = [0xf4, 0xb8, 5, 0, 0, 0, ret];

  it('goes on at the next clock interrupt', () => {
    let before = 0;
    const { nt, result } = run(halt, (kernel) => {
      before = kernel.nt.clock.tickCount;
    });
    expect(result).toBe(5);
    expect(nt.clock.tickCount).toBe(before + 1);
    expect(nt.clock.interruptTime % timeIncrement100ns).toBeLessThan(100);
  });

  it('lets the DPC of a timer run that is due before that', () => {
    // hlt; mov eax,[rip+data]; ret; at 16: inc dword [rip+data]; ret; at 32: the data
    const code = [0xf4, 0x8b, 0x05, 25, 0, 0, 0, ret, ...Array<number>(8).fill(0xcc), 0xff, 0x05, 10, 0, 0, 0, ret];
    code.push(...Array<number>(32 - code.length).fill(0xcc), 0, 0, 0, 0);
    const { result } = run(code, ({ nt, image }) => {
      const [timer, dpc] = [
        nt.pool.allocateKernel(KTIMER.sizeBytes, 'Test'),
        nt.pool.allocateKernel(KDPC.sizeBytes, 'Test'),
      ];
      const entry = vaAdd(image.base, image.pe?.entryPointRva ?? 0);
      nt.memory.protectPage(vaAdd(image.base, 0x1000), 7);
      nt.dispatcher.initialise(timer, 8, KTIMER.sizeBytes / 4, 0);
      KDPC.DeferredRoutine.set(nt.memory, dpc, vaAdd(entry, 16));
      nt.timers.set(timer, nt.clock.interruptTime + 1000, 0, dpc);
    });
    expect(result).toBe(1);
  });

  it('with interrupts off never ends, and is named', () => {
    expect(run([0xfa, ...halt]).end).toMatchObject(named('hlt with interrupts off, which never ends'));
  });
});

describe('rdmsr', () => {
  it('reads what a processor in long mode has', () => {
    expect(run(readRegister(0x80, 0, 0, 0xc0)).result).toBe(0xd01);
    const { nt, result } = run(readRegister(0x01, 1, 0, 0xc0));
    expect(BigInt.asUintN(64, BigInt(result))).toBe(vaToU64(nt.processor.kpcr));
    const timed = run(readRegister(0x10, 0, 0, 0));
    expect(timed.result).toBeGreaterThan(0);
    expect(timed.result).toBeLessThanOrEqual(Number(timed.nt.clock.timeStamp));
  });

  it('names a register that is not there', () => {
    expect(run(readRegister(0x1b, 0, 0, 0)).end).toMatchObject(named('rdmsr of register 0x1b'));
    // mov ecx,0x10; wrmsr
    expect(run([0xb9, 0x10, 0, 0, 0, 0x0f, 0x30, ret]).end).toMatchObject(named('wrmsr of register 0x10'));
  });
});

describe('a port instruction', () => {
  // mov edx,0xcf8
  const portInDx = [0xba, 0xf8, 0x0c, 0, 0];

  it.each([
    { what: 'in al,dx', code: [...portInDx, 0xec], name: 'in of port 0xcf8' },
    { what: 'in ax,dx', code: [...portInDx, 0x66, 0xed], name: 'in of port 0xcf8' },
    { what: 'out dx,eax', code: [...portInDx, 0xef], name: 'out of port 0xcf8' },
    { what: 'in al,61h', code: [0xe4, 0x61], name: 'in of port 0x61' },
    { what: 'out 80h,al', code: [0xe6, 0x80], name: 'out of port 0x80' },
    { what: 'rep insb', code: [...portInDx, 0xf3, 0x6c], name: 'insb of port 0xcf8' },
  ])('$what names its port', ({ code, name }) => {
    const { end, image } = run([...code, ret]);
    expect(end).toMatchObject(named(name));
    const offset = code[0] === 0xba ? 5 : 0;
    expect(end).toMatchObject({ site: vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + offset) });
  });
});
