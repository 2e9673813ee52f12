/**
 * Assembled code in a booted kernel, for tests of what takes several threads or callbacks. Besides the assembler's lines:
 *
 *   call KeSetEvent(event, 0, 0)   a routine of the kernel (or a label) with up to seven arguments: numbers, registers,
 *                                  names of `data`; the result is in rax
 *   log 3                          appends a number to the log; `log rax` what a register holds (32 bits)
 *
 * Every routine starts at a label with `enter` and ends with `leave` (rbx and rdi are its own to use).
 */
import { type Va, vaAdd } from '../src/base/va.ts';
import { Access } from '../src/engine/memory/layout.ts';
import { AddressMap } from '../src/nt/address-map.ts';
import { kernelHolder } from '../src/nt/mm/holder.ts';
import { Nt } from '../src/nt/nt.ts';
import { assemble } from './assembler.ts';

const dataBytes = 0x100;
const logBytes = 0x800;
const argumentRegisters = ['rcx', 'rdx', 'r8', 'r9'];

export class GuestCode {
  readonly nt: Nt;
  private readonly log: Va;
  private started = 0;
  private readonly names = new Map<string, Va>();
  private labels: ReadonlyMap<string, number> = new Map();

  /** `data`: names of zeroed blocks of 256 bytes. */
  constructor(source: string, data: readonly string[] = []) {
    this.nt = new Nt({ seed: 1, instructionLimit: 10_000_000, ramBytes: 0x200_0000 });
    this.log = this.nt.pool.allocateKernel(logBytes, 'Test');
    for (const name of data) this.names.set(name, this.nt.pool.allocateKernel(dataBytes, 'Test'));
    this.load(source);
  }

  private load(source: string): void {
    const page = this.nt.addressSpace.allocate(
      AddressMap.nonPagedPool,
      2,
      Access.Read | Access.Write | Access.Execute,
      0xcc,
    );
    if (page === undefined) throw new Error('no memory for the test code');
    // Labels are known after a first pass in which they stand for the page itself.
    const own = [...source.matchAll(/^\s*(\w+):/gm)].map((match) => match[1] as string);
    for (const label of own) this.names.set(label, page);
    this.labels = assemble(this.expand(source), page).labels;
    for (const label of own) this.names.set(label, vaAdd(page, this.labels.get(label) as number));
    this.nt.memory.writeBytes(page, assemble(this.expand(source), page).bytes);
  }

  private expand(source: string): string {
    return source
      .replace(/^(\s*\w+:)/gm, '$1\n')
      .split('\n')
      .map((line) => this.expandLine(line))
      .join('\n');
  }

  private expandLine(line: string): string {
    const call = /^\s*call (\w+)\((.*)\)\s*$/.exec(line);
    if (call) {
      const args = (call[2] ?? '').split(',').map((text) => text.trim());
      const moves = args.map((text, index) =>
        index < argumentRegisters.length
          ? `mov ${argumentRegisters[index]}, ${this.operand(text)}`
          : `mov r10, ${this.operand(text)}\nmov [rsp+${index * 8}], r10`,
      );
      return [...(args[0] === '' ? [] : moves), `mov rax, ${this.operand(call[1] as string)}`, 'call rax'].join('\n');
    }
    const logged = /^\s*log (\w+)\s*$/.exec(line);
    if (logged) {
      return [
        `mov r10, ${this.operand(logged[1] as string)}`,
        `mov r11, ${this.hex(this.log)}`,
        'add qword ptr [r11], 4',
        'add r11, [r11]',
        'mov [r11+8], r10',
      ].join('\n');
    }
    if (/^\s*enter\s*$/.test(line)) return 'push rbx\npush rdi\nsub rsp, 38h';
    if (/^\s*leave\s*$/.test(line)) return 'add rsp, 38h\npop rdi\npop rbx\nret';
    // `mov rax, event`: an address by name.
    return line.replace(/^(\s*mov \w+, )(\w+)\s*$/, (_, start: string, name: string) => start + this.operand(name));
  }

  /** A number, a register, or an address by name. */
  private operand(text: string): string {
    const va = this.names.get(text) ?? this.nt.entries.routine(text)?.va;
    return va === undefined ? text : this.hex(va);
  }

  private hex(va: Va): string {
    return `0x${BigInt.asUintN(64, BigInt(va)).toString(16)}`;
  }

  at(name: string): Va {
    const va = this.names.get(name);
    if (va === undefined) throw new Error(`no data or label ${name}`);
    return va;
  }

  /** Starts a new system thread at a label. Those that are started first run first. */
  start(label: string, process = this.nt.processor.systemProcess, priority = Math.max(15 - this.started++, 1)): Va {
    const { kthread } = this.nt.scheduler.threads.create(process, true, kernelHolder, priority);
    this.nt.scheduler.start(kthread, this.at(label), []);
    return kthread;
  }

  /** Runs until nothing happens any more; what was logged. */
  run(): number[] {
    this.nt.run(() => false);
    return this.logged;
  }

  /** Has the first system thread call a routine of the kernel; its result. */
  call(name: string, ...args: readonly (number | bigint)[]): number {
    const { scheduler, entries } = this.nt;
    scheduler.start(scheduler.systemThread, entries.routineVa(name), args);
    const ended = this.nt.run(() => scheduler.thread(scheduler.systemThread).state === 'idle');
    if (ended !== 'done') throw new Error(`${name} did not come back: ${ended}`);
    return scheduler.thread(scheduler.systemThread).result;
  }

  get logged(): number[] {
    const { memory } = this.nt;
    const count = memory.readU32(this.log) / 4;
    return Array.from({ length: count }, (_, index) => memory.readU32(vaAdd(this.log, 12 + index * 4)));
  }

  /** Code of the bug check that ended the life, with its parameters; undefined if none did. */
  get bugCheck(): readonly (number | bigint)[] | undefined {
    const end = this.nt.end.value;
    return end?.kind === 'bug-check' ? [end.bugCheck.code, ...end.bugCheck.parameters] : undefined;
  }
}
