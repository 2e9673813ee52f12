/**
 * Which guest registers and flags stand in locals, which must be written back, and which loaded again.
 *
 * While code is emitted, each block notes in order what it does with registers. When all is emitted, two data-flow
 * passes find what each write-back has to store (what may have changed since the last one) and what each load has to
 * load (what is read before it is written; a write-back reads what it stores).
 */
import { cpuStateOffset } from '../memory/layout.ts';
import { Gpr, StateOffset } from './state.ts';
import { type ByteWriter, type CodeWriter, Op, WasmType } from './wasm-writer.ts';

/** Registers 0..15 are general registers, 16..21 arithmetic flags. */
export const firstFlag = 16;
export const trackedCount = 22;
const allGprs = 0xffff;

const Event = { Read: 0, Write: 1, WriteBack: 2, Load: 3, Exit: 4 } as const;

/** A way out of the unit that stores everything in the exit area; `saved` tells afterwards which of it counts. */
export interface SavingExit {
  saved: number;
}

interface Point {
  /** Flags that matter here, `1 << (firstFlag + flag)`; general registers always do. */
  readonly allowed: number;
  mask: number;
  readonly exit: SavingExit | undefined;
}

export class StateFlow {
  private readonly code: CodeWriter;
  private readonly successors: readonly (readonly number[])[];
  private readonly locals: number[] = new Array(trackedCount).fill(-1);
  private readonly events: number[][];
  private readonly points: Point[] = [];
  private readonly rootLoad: Point = { allowed: -1, mask: 0, exit: undefined };
  private readonly exitMask: Point = { allowed: -1, mask: 0, exit: undefined };
  private current: number[] = [];
  private baseDepth = 0;

  constructor(code: CodeWriter, successors: readonly (readonly number[])[]) {
    this.code = code;
    this.successors = successors;
    this.events = successors.map(() => []);
  }

  /** Following events belong to the block. */
  enter(block: number): void {
    this.current = this.events[block] as number[];
    this.baseDepth = this.code.depth;
  }

  /** As {@link enter}, for what is emitted on a way out of a block after other blocks. */
  resume(block: number): void {
    this.current = this.events[block] as number[];
  }

  get(register: number): void {
    this.code.get(this.local(register));
    this.current.push(Event.Read | (register << 3));
  }

  set(register: number): void {
    this.code.set(this.local(register));
    // In a conditional part of the instruction the old value may remain.
    if (this.code.depth !== this.baseDepth) this.current.push(Event.Read | (register << 3));
    this.current.push(Event.Write | (register << 3));
  }

  /** Counts a register as changed from here on, ahead of a loop inside an instruction that changes it. */
  touch(register: number): void {
    this.local(register);
    this.current.push(Event.Read | (register << 3), Event.Write | (register << 3));
  }

  /** Stores all changed registers, and those changed flags that `flags` (1 << Flag) names. */
  writeBack(flags: number): void {
    const point = this.point(Event.WriteBack, flags);
    this.code.insertLater((out) => this.stores(out, point.mask, 0));
  }

  /** Forgets all locals; loads those that are needed later. */
  load(): void {
    const point = this.point(Event.Load, 0x3f);
    this.code.insertLater((out) => this.loads(out, point.mask));
  }

  loadAtRoot(): void {
    this.code.insertLater((out) => this.loads(out, this.rootLoad.mask));
  }

  exit(exit: SavingExit, flags: number): void {
    this.point(Event.Exit, flags, exit);
  }

  /** In the shared way out: stores what any exit needs into the exit area. */
  saveForExits(): void {
    this.code.insertLater((out) => this.stores(out, this.exitMask.mask, StateOffset.ExitArea - StateOffset.Gpr));
  }

  solve(): void {
    this.solveChanged();
    this.solveNeeded();
    for (const point of this.points) {
      if (!point.exit) continue;
      point.exit.saved = point.mask;
      this.exitMask.mask |= point.mask;
    }
  }

  private local(register: number): number {
    const known = this.locals[register] as number;
    if (known >= 0) return known;
    const made = this.code.newLocal(register < firstFlag ? WasmType.I64 : WasmType.I32);
    this.locals[register] = made;
    return made;
  }

  private point(event: number, flags: number, exit?: SavingExit): Point {
    const point: Point = { allowed: allGprs | (flags << firstFlag), mask: 0, exit };
    this.current.push(event | (this.points.length << 3));
    this.points.push(point);
    return point;
  }

  /** Forwards: registers that may differ from the CPU state. */
  private solveChanged(): void {
    const changedIn = new Int32Array(this.events.length);
    const work = [0];
    const seen = new Uint8Array(this.events.length);
    for (let block = work.pop(); block !== undefined; block = work.pop()) {
      seen[block] = 1;
      let changed = changedIn[block] as number;
      for (const event of this.events[block] as number[]) {
        const kind = event & 7;
        if (kind === Event.Write) changed |= 1 << (event >> 3);
        else if (kind >= Event.WriteBack) {
          const point = this.points[event >> 3] as Point;
          // A write-back is followed by a load, or its path ends there and others go on with the registers as they are.
          if (kind === Event.Load) changed = 0;
          else point.mask = changed & point.allowed;
        }
      }
      for (const to of this.successors[block] as readonly number[]) {
        const merged = (changedIn[to] as number) | changed;
        if (merged !== changedIn[to] || seen[to] === 0) {
          changedIn[to] = merged;
          seen[to] = 1;
          work.push(to);
        }
      }
    }
  }

  /** Backwards: registers whose local is read before it is written. */
  private solveNeeded(): void {
    const count = this.events.length;
    const neededIn = new Int32Array(count);
    for (let again = true; again; ) {
      again = false;
      for (let block = count - 1; block >= 0; block--) {
        let needed = 0;
        for (const to of this.successors[block] as readonly number[]) needed |= neededIn[to] as number;
        const events = this.events[block] as number[];
        for (let at = events.length - 1; at >= 0; at--) {
          const event = events[at] as number;
          const kind = event & 7;
          if (kind === Event.Read) needed |= 1 << (event >> 3);
          else if (kind === Event.Write) needed &= ~(1 << (event >> 3));
          else {
            const point = this.points[event >> 3] as Point;
            if (kind === Event.Load) {
              point.mask = needed;
              needed = 0;
            } else {
              needed |= point.mask;
            }
          }
        }
        if (needed !== neededIn[block]) {
          neededIn[block] = needed;
          again = true;
        }
      }
    }
    this.rootLoad.mask = neededIn[0] as number;
  }

  private stores(out: ByteWriter, mask: number, shift: number): void {
    for (let register = 0; register < trackedCount; register++) {
      if ((mask & (1 << register)) === 0) continue;
      out.byte(Op.I32Const);
      out.byte(0);
      out.byte(Op.LocalGet);
      out.unsigned(this.local(register));
      out.byte(register < firstFlag ? Op.I64Store : Op.I32Store);
      out.byte(0);
      out.unsigned(trackedOffset(register) + shift);
    }
  }

  private loads(out: ByteWriter, mask: number): void {
    for (let register = 0; register < trackedCount; register++) {
      if ((mask & (1 << register)) === 0) continue;
      out.byte(Op.I32Const);
      out.byte(0);
      out.byte(register < firstFlag ? Op.I64Load : Op.I32Load);
      out.byte(0);
      out.unsigned(trackedOffset(register));
      out.byte(Op.LocalSet);
      out.unsigned(this.local(register));
    }
  }
}

/** Offset in the wasm memory of a tracked register. The exit area repeats general registers and flags at the same distances. */
export function trackedOffset(register: number): number {
  return register < firstFlag
    ? cpuStateOffset + StateOffset.Gpr + register * 8
    : cpuStateOffset + StateOffset.Flags + (register - firstFlag) * 4;
}

export const rsp = Gpr.Rsp;
