/** Exceptions end to end: a driver that checks them itself, and small pieces of code that stop the machine. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Va, vaAdd, vaFromU64, vaToU64 } from '../src/base/va.ts';
import { parsePe } from '../src/image/pe/index.ts';
import type { BugCheck } from '../src/nt/declare/bug-check.ts';
import type { KernelImage } from '../src/nt/mm/kernel-image.ts';
import { Nt, type NtSnapshot } from '../src/nt/nt.ts';
import type { ProcessorFault } from '../src/nt/rtl/exceptions.ts';
import { processorContext } from '../src/nt/rtl/guest-context.ts';
import { stepUp } from '../src/nt/rtl/unwind-frame.ts';
import { CONTEXT, EXCEPTION_RECORD } from '../src/nt/structures/exception.ts';
import { KDPC } from '../src/nt/structures/ke.ts';
import { buildPe } from './pe-builder.ts';

const driverStartOffset = 0x18;

function load(bytes: Uint8Array, name: string): { nt: Nt; image: KernelImage; entry: Va } {
  const nt = new Nt({ seed: 1, instructionLimit: 10_000_000, ramBytes: 0x200_0000 });
  const image = nt.images.load(parsePe(bytes, name), name);
  return { nt, image, entry: vaAdd(image.base, image.pe?.entryPointRva ?? 0) };
}

/** Runs the entry point in a system thread (or the requester's), with a driver object that has only its image's base. */
function runEntry({ nt, image, entry }: ReturnType<typeof load>, thread = nt.scheduler.systemThread): number {
  const driverObject = nt.pool.allocateKernel(0x150, 'Driv');
  nt.memory.writeVa(vaAdd(driverObject, driverStartOffset), image.base);
  nt.scheduler.start(thread, entry, [driverObject, 0]);
  nt.run(() => false);
  return nt.scheduler.thread(thread).result >>> 0;
}

/** As {@link runEntry}, as the kernel loads a driver; `atTurn` is called between turns. */
function loadDriver(nt: Nt, image: KernelImage, atTurn: () => void = () => {}): void {
  nt.scheduler.start(nt.scheduler.systemThread, nt.entries.routineVa('IopLoadDriver'), [image.index]);
  nt.run(() => {
    atTurn();
    return false;
  });
}

const result = (nt: Nt): string => `0x${(nt.scheduler.thread(nt.scheduler.systemThread).result >>> 0).toString(16)}`;

/** The stack by the complete unwinder alone. */
function unwindStepByStep(nt: Nt): Va[] {
  const walked: Va[] = [nt.cpu.state.rip];
  let context = processorContext(nt);
  while (walked.length < 32) {
    const host = nt.entries.at(walked.at(-1) as Va);
    if (host?.kind === 'resume' && host.routine.name === 'KiThreadStartup') break;
    const step = stepUp(nt, context, 'none');
    if (step.kind === 'end') break;
    context = step.context;
    walked.push(vaFromU64(context.rip));
  }
  return walked;
}

describe('seh.sys', () => {
  const bytes = new Uint8Array(readFileSync(fileURLToPath(new URL('drivers/seh/seh.sys', import.meta.url))));

  it('passes its own checks', () => {
    const { nt, image } = load(bytes, 'seh.sys');
    loadDriver(nt, image);
    expect(nt.end.value).toBeUndefined();
    expect(result(nt)).toBe('0x0');
  });

  it('passes them when it goes on from a snapshot in another machine', () => {
    const { nt, image } = load(bytes, 'seh.sys');
    const snapshots: NtSnapshot[] = [];
    let turns = 0;
    loadDriver(nt, image, () => {
      if (turns++ % 24 === 5) snapshots.push(nt.snapshot());
    });
    expect(snapshots.length).toBeGreaterThan(8);
    for (const snapshot of snapshots) {
      const { nt: other } = load(bytes, 'seh.sys');
      other.restore(snapshot);
      other.run(() => false);
      expect(other.end.value).toBeUndefined();
      expect(result(other)).toBe('0x0');
    }
  });

  it('has the same stacks by the quick walk and by the unwinder, at every call and every fault', () => {
    const { nt, image } = load(bytes, 'seh.sys');
    let compared = 0;
    let deepest = 0;
    const compare = (): void => {
      const walked = nt.exceptions.walkStack();
      expect(walked).toEqual(unwindStepByStep(nt));
      deepest = Math.max(deepest, walked.length);
      compared++;
    };
    nt.events.on('exportCalled', compare);
    const fromProcessor = nt.exceptions.fromProcessor.bind(nt.exceptions);
    Object.assign(nt.exceptions, {
      fromProcessor: (fault: ProcessorFault) => {
        compare();
        fromProcessor(fault);
      },
    });
    loadDriver(nt, image);
    expect(compared).toBeGreaterThan(150);
    expect(deepest).toBeGreaterThan(12);
  });

  it('forgets what it learnt of an image that is gone', () => {
    const first = load(bytes, 'seh.sys');
    const { nt } = first;
    const before = nt.snapshot();
    loadDriver(nt, first.image);
    nt.restore(before);
    nt.images.unload(first.image);
    // The stack of before leads into nothing now.
    const stack = vaAdd(nt.scheduler.thread(nt.scheduler.systemThread).stackBase, -0x100);
    nt.memory.writeVa(stack, first.entry);
    nt.memory.writeVa(vaAdd(stack, 8), first.entry);
    const context = processorContext(nt, 0n, stack);
    expect(nt.exceptions.walkStackFrom(context)).toEqual([0, first.entry]);
  });
});

// ---- code that stops the machine

const u64 = (value: bigint): number[] => [...new Uint8Array(new BigUint64Array([BigInt.asUintN(64, value)]).buffer)];
const movRax = (value: bigint): number[] => [0x48, 0xb8, ...u64(value)];
const movRdx = (value: bigint): number[] => [0x48, 0xba, ...u64(value)];
const readRax = [0x8b, 0x00];
const writeRax = [0x89, 0x00];
const callRax = [0xff, 0xd0];
/** xor edx,edx; mov dl,2; mov cr8,rdx */
const raiseToDispatch = [0x31, 0xd2, 0xb2, 0x02, 0x44, 0x0f, 0x22, 0xc2];
const ret = [0xc3];

/** Never mapped, in the nonpaged pool's region. */
const hole = 0xffff_f800_7fff_0000n;
const userHole = 0x1234_5678_9000n;

function stop(
  code: readonly number[],
  thread: 'system' | 'requester' = 'system',
): { bugCheck: BugCheck; image: KernelImage; nt: Nt } {
  const machine = load(buildPe({ code: [...code, ...ret] }).bytes, 'stop.sys');
  const { nt, image } = machine;
  runEntry(machine, thread === 'system' ? nt.scheduler.systemThread : nt.scheduler.requester);
  const end = nt.end.value;
  if (end?.kind !== 'bug-check') throw new Error(`no bug check: ${end?.kind}`);
  return { bugCheck: end.bugCheck, image, nt };
}

const unsigned = (value: number | bigint | undefined): bigint => BigInt.asUintN(64, BigInt(value ?? 0));
const parameters = (bugCheck: BugCheck): bigint[] => bugCheck.parameters.map(unsigned);

describe('accesses that stop the machine', () => {
  it.each([
    ['read', readRax, 0n],
    ['write', writeRax, 2n],
    ['execute', callRax, 0x10n],
  ])('0x50: %s of invalid system memory', (_name, access, kind) => {
    const { bugCheck, image } = stop([...movRax(hole), ...access]);
    expect(bugCheck.code).toBe(0x50);
    const rip = kind === 0x10n ? hole : vaToU64(vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + 10));
    expect(parameters(bugCheck)).toEqual([hole, kind, rip, 2n]);
  });

  it.each([
    ['read', readRax, 0n],
    ['write', writeRax, 1n],
  ])('0xD1: %s at DISPATCH_LEVEL', (_name, access, kind) => {
    const { bugCheck, image } = stop([...raiseToDispatch, ...movRax(hole), ...access]);
    expect(bugCheck.code).toBe(0xd1);
    const rip = vaToU64(vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + 18));
    expect(parameters(bugCheck)).toEqual([hole, 2n, kind, rip]);
  });

  it('0xD1: a null pointer called at DISPATCH_LEVEL', () => {
    const { bugCheck } = stop([...raiseToDispatch, ...movRax(0n), ...callRax]);
    expect(bugCheck.code).toBe(0xd1);
    expect(parameters(bugCheck)).toEqual([0n, 2n, 8n, 0n]);
  });

  it('0xBE: write to its own code', () => {
    // lea rax, [rip]
    const { bugCheck, image } = stop([0x48, 0x8d, 0x05, 0, 0, 0, 0, ...writeRax]);
    expect(bugCheck.code).toBe(0xbe);
    expect(parameters(bugCheck)[0]).toBe(vaToU64(vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + 7)));
  });

  it('0xFC: jump to the stack', () => {
    const { bugCheck, nt } = stop([0xff, 0xe4]);
    expect(bugCheck.code).toBe(0xfc);
    expect(parameters(bugCheck)[0]).toBe(vaToU64(nt.cpu.state.gprVa(4)));
  });

  it('0x7F: the stack runs into its guard page', () => {
    // push rax; jmp back
    const { bugCheck, nt } = stop([0x50, 0xeb, 0xfd]);
    expect(bugCheck.code).toBe(0x7f);
    const { stackLimit } = nt.scheduler.currentThread;
    expect(parameters(bugCheck).slice(0, 2)).toEqual([8n, 0n]);
    expect(parameters(bugCheck)[2]).toBe(vaToU64(stackLimit));
  });

  it('0x7F: an exception for which the stack has no room', () => {
    // Goes down to 0x100 bytes above the limit and reads a user address.
    const { bugCheck } = stop([
      ...[0x48, 0x89, 0xe0, 0x48, 0x25, 0x00, 0xf0, 0xff, 0xff], // mov rax,rsp; and rax,-0x1000
      ...[0x48, 0x2d, 0x00, 0x4f, 0x00, 0x00, 0x48, 0x89, 0xc4], // sub rax,0x4f00; mov rsp,rax
      ...movRax(userHole),
      ...readRax,
    ]);
    expect(bugCheck.code).toBe(0x7f);
  });

  it('0x7F: the stack pointer is lost', () => {
    // mov rsp,rax; push rax
    const { bugCheck } = stop([...movRax(hole), 0x48, 0x89, 0xc4, 0x50]);
    expect(bugCheck.code).toBe(0x7f);
    expect(parameters(bugCheck)[2]).toBe(hole);
  });

  it('0x139: int 29h', () => {
    // mov ecx,3; int 29h
    const { bugCheck, nt, image } = stop([0xb9, 3, 0, 0, 0, 0xcd, 0x29]);
    expect(bugCheck.code).toBe(0x139);
    const record = bugCheck.parameters[2] as Va;
    expect(bugCheck.parameters[0]).toBe(3);
    expect(EXCEPTION_RECORD.ExceptionCode.get(nt.memory, record)).toBe(0xc000_0409);
    expect(EXCEPTION_RECORD.ExceptionAddress.get(nt.memory, record)).toBe(
      vaToU64(vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + 5)),
    );
  });
});

describe('pointers given to the kernel', () => {
  /** Jumps to RtlInitUnicodeString(home space, pointer). */
  const call = (pointer: bigint, before: readonly number[]) => (at: { textRva: number; iat(name: string): number }) => {
    const head = [...before, 0x48, 0x8d, 0x4c, 0x24, 0x08, ...movRdx(pointer)];
    const displacement = at.iat('RtlInitUnicodeString') - (at.textRva + head.length + 6);
    return [...head, 0xff, 0x25, ...new Uint8Array(new Int32Array([displacement]).buffer)];
  };

  it.each([
    ['0x50 at PASSIVE_LEVEL', hole, [], 0x50],
    ['0x0A at DISPATCH_LEVEL', hole, raiseToDispatch, 0x0a],
    ['0x7E for an address of user space', userHole, [], 0x7e],
  ] as const)('%s', (_name, pointer, before, code) => {
    const machine = load(
      buildPe({ code: call(pointer, before), imports: { 'ntoskrnl.exe': ['RtlInitUnicodeString'] } }).bytes,
      'stop.sys',
    );
    runEntry(machine);
    const end = machine.nt.end.value;
    expect(end?.kind).toBe('bug-check');
    if (end?.kind === 'bug-check') expect(end.bugCheck.code).toBe(code);
  });
});

describe('unhandled exceptions', () => {
  const address = (image: KernelImage): bigint => vaToU64(vaAdd(image.base, (image.pe?.entryPointRva ?? 0) + 10));

  it('0x7E in a system thread', () => {
    const { bugCheck, image, nt } = stop([...movRax(userHole), ...writeRax]);
    expect(bugCheck.code).toBe(0x7e);
    expect(parameters(bugCheck).slice(0, 2)).toEqual([0xffff_ffff_c000_0005n, address(image)]);
    const [, , record, context] = bugCheck.parameters as readonly [number, bigint, Va, Va];
    const information = EXCEPTION_RECORD.ExceptionInformation.at(record);
    expect(nt.memory.readU64(information)).toBe(1n);
    expect(nt.memory.readU64(vaAdd(information, 8))).toBe(userHole);
    expect(CONTEXT.Rip.get(nt.memory, context)).toBe(address(image));
  });

  it('0x3B in a system call', () => {
    const { bugCheck, image, nt } = stop([...movRax(userHole), ...readRax], 'requester');
    expect(bugCheck.code).toBe(0x3b);
    expect(parameters(bugCheck).slice(0, 2)).toEqual([0xc000_0005n, address(image)]);
    expect(CONTEXT.Rip.get(nt.memory, bugCheck.parameters[2] as Va)).toBe(address(image));
  });

  it('0x1E in a DPC routine', () => {
    // xor ecx,ecx; div ecx
    const machine = load(
      buildPe({ code: [0x31, 0xc9, 0xf7, 0xf1, ...ret, 0x90, 0x90, 0x90, 0xeb, 0xfe] }).bytes,
      'stop.sys',
    );
    const { nt, entry } = machine;
    const dpc = nt.pool.allocateKernel(KDPC.sizeBytes, 'Dpc ');
    KDPC.DeferredRoutine.set(nt.memory, dpc, entry);
    nt.interrupts.queueDpc(dpc, 0n, 0n);
    nt.scheduler.start(nt.scheduler.systemThread, vaAdd(entry, 8), []);
    nt.run(() => false);
    const end = nt.end.value;
    expect(end?.kind).toBe('bug-check');
    if (end?.kind !== 'bug-check') return;
    expect(end.bugCheck.code).toBe(0x1e);
    expect(parameters(end.bugCheck)).toEqual([0xffff_ffff_c000_0094n, vaToU64(vaAdd(entry, 2)), 0n, 0n]);
  });

  it('0x7E for a failed NT_ASSERT', () => {
    const { bugCheck, image } = stop([0xcd, 0x2c]);
    expect(bugCheck.code).toBe(0x7e);
    expect(parameters(bugCheck).slice(0, 2)).toEqual([
      0xffff_ffff_c000_0420n,
      vaToU64(vaAdd(image.base, image.pe?.entryPointRva ?? 0)),
    ]);
  });
});

describe('a breakpoint', () => {
  it.each([
    ['int3', [0xcc]],
    ['int 3 of two bytes', [0xcd, 0x03]],
  ])('%s goes to the debugger, which goes on behind it', (_name, instruction) => {
    // mov eax,0x10; <instruction>; add eax,1; ret
    const machine = load(
      buildPe({ code: [0xb8, 0x10, 0, 0, 0, ...instruction, 0x83, 0xc0, 0x01, ...ret] }).bytes,
      'break.sys',
    );
    const addresses: Va[] = [];
    machine.nt.events.on('breakpoint', ({ address }) => addresses.push(address));
    expect(runEntry(machine)).toBe(0x11);
    expect(machine.nt.end.value).toBeUndefined();
    expect(addresses).toEqual([vaAdd(machine.entry, 5)]);
  });
});

describe('an import slot that is read as data', () => {
  /** `mov rax, [rip+slot]` · `mov rax, [rax]` · `ret`: what a compiler makes of an imported variable. */
  function driverThatReads(name: string): Uint8Array {
    return buildPe({
      imports: { 'ntoskrnl.exe': [name] },
      code: (at) => {
        const displacement = at.iat(name) - (at.textRva + 7);
        const bytes = [0, 8, 16, 24].map((shift) => (displacement >> shift) & 0xff);
        return [0x48, 0x8b, 0x05, ...bytes, 0x48, 0x8b, 0x00, 0xc3];
      },
    }).bytes;
  }

  it.each([
    ['KeLoaderBlock', 'ntoskrnl.exe!KeLoaderBlock'],
    ['IoCreateDevice', 'the code of ntoskrnl.exe!IoCreateDevice'],
  ])('ends the life by name, not as a fault of the driver: %s', (name, reported) => {
    const machine = load(driverThatReads(name), 'reader.sys');
    runEntry(machine);
    expect(machine.nt.end.value).toMatchObject({ kind: 'unsupported', what: 'export', name: reported });
  });

  it('gives exported data that the kernel has', () => {
    const machine = load(driverThatReads('MmUserProbeAddress'), 'reader.sys');
    runEntry(machine);
    expect(machine.nt.end.value).toBeUndefined();
  });
});
