/** What is known of the processor at a place of a dispatch routine: registers, its stack, flags, possible codes. */
import type { GprOperand, MemoryOperand, Operand } from '../../../engine/cpu/instruction.ts';
import { IO_STACK_LOCATION, IRP, MajorFunction } from '../../../nt/structures/io.ts';
import { allCodes, type CodeSet, isSameSet, unionOf } from './code-set.ts';
import { type Filter, type Flags, flagsText } from './condition.ts';
import {
  type Bits,
  constantTerm,
  controlCode,
  difference,
  loaded,
  shiftedLeft,
  shiftedRight,
  sum,
  type Term,
  truncated,
} from './term.ts';

/** An address in the IRP, its current stack location, or the stack. */
export interface Pointer {
  readonly to: 'irp' | 'location' | 'stack';
  readonly offset: number;
}

/** Undefined: not known. */
export type Value = Term | Pointer | undefined;

/** Reads little-endian bytes that the driver does not change, or of its tables; undefined where there are none. */
export interface ImageReader {
  constant(address: bigint, bytes: number): bigint | undefined;
  table(address: bigint, bytes: number): bigint | undefined;
}

export const Register = { Rax: 0, Rcx: 1, Rdx: 2, Rsp: 4, R8: 8, R9: 9, R10: 10, R11: 11 } as const;
/** Registers that a call does not keep. */
const volatileRegisters = [0, 1, 2, 8, 9, 10, 11];

/** What was last written to the lowest bits of a register whose other bits are not known. */
interface LowPart {
  readonly bits: 8 | 16;
  readonly value: Term;
}

export class AbstractState {
  readonly registers: Value[];
  private lowParts: readonly (LowPart | undefined)[] = [];
  /** By offset from the stack pointer at the start of the routine. */
  readonly stack: Map<number, { readonly bytes: number; readonly value: Value }>;
  flags: Flags | undefined;
  codes: CodeSet;
  filters: readonly Filter[];

  private constructor(
    registers: Value[],
    stack: Map<number, { readonly bytes: number; readonly value: Value }>,
    flags: Flags | undefined,
    codes: CodeSet,
    filters: readonly Filter[],
  ) {
    this.registers = registers;
    this.stack = stack;
    this.flags = flags;
    this.codes = codes;
    this.filters = filters;
  }

  /** At a dispatch routine's first instruction: RCX device object, RDX IRP. */
  static atDispatch(): AbstractState {
    const registers: Value[] = Array.from({ length: 16 }, () => undefined);
    registers[Register.Rdx] = { to: 'irp', offset: 0 };
    registers[Register.Rsp] = { to: 'stack', offset: 0 };
    return new AbstractState(registers, new Map(), undefined, allCodes, []);
  }

  copy(): AbstractState {
    const copy = new AbstractState(this.registers.slice(), new Map(this.stack), this.flags, this.codes, this.filters);
    copy.lowParts = this.lowParts;
    return copy;
  }

  /** Takes in what another way to the same place knows. Whether anything changed. */
  join(other: AbstractState): boolean {
    let hasChanged = false;
    for (let index = 0; index < 16; index++) {
      if (this.registers[index] !== undefined && !isSame(this.registers[index], other.registers[index])) {
        this.registers[index] = undefined;
        hasChanged = true;
      }
      const part = this.lowParts[index];
      const otherPart = other.lowParts[index];
      if (part !== undefined && (part.bits !== otherPart?.bits || part.value.text !== otherPart.value.text)) {
        this.lowParts = this.lowParts.with(index, undefined);
        hasChanged = true;
      }
    }
    for (const [offset, { bytes, value }] of this.stack) {
      const there = other.stack.get(offset);
      if (there?.bytes === bytes && isSame(there.value, value)) continue;
      this.stack.delete(offset);
      hasChanged = true;
    }
    if (this.flags !== undefined && (other.flags === undefined || flagsText(this.flags) !== flagsText(other.flags))) {
      this.flags = undefined;
      hasChanged = true;
    }
    const codes = unionOf([this.codes, other.codes]);
    if (!isSameSet(codes, this.codes)) {
      this.codes = codes;
      hasChanged = true;
    }
    const filters = this.filters.filter(({ text }) => other.filters.some((filter) => filter.text === text));
    if (filters.length < this.filters.length) {
      this.filters = filters;
      hasChanged = true;
    }
    return hasChanged;
  }

  /** After a call; `returned` is where the routine came back, if it was followed. */
  return(returned: AbstractState | undefined): void {
    for (const register of volatileRegisters) this.set(register, returned?.registers[register]);
    this.flags = undefined;
  }

  /** Sets a whole register. */
  set(register: number, value: Value): void {
    this.registers[register] = value;
    if (this.lowParts[register] !== undefined) this.lowParts = this.lowParts.with(register, undefined);
  }

  // ---- operands

  read(operand: Operand | undefined, image: ImageReader): Value {
    switch (operand?.kind) {
      case 'gpr':
        return this.readRegister(operand);
      case 'immediate':
        return constantTerm(BigInt(operand.value));
      case 'memory':
        return this.load(this.address(operand), operand.bytes, image);
      default:
        return undefined;
    }
  }

  write(operand: Operand | undefined, value: Value): void {
    if (operand?.kind === 'gpr') this.writeRegister(operand, value);
    else if (operand?.kind === 'memory') this.store(this.address(operand), operand.bytes, value);
  }

  private readRegister({ index, bytes, high }: GprOperand): Value {
    const value = this.registers[index];
    const part = this.lowParts[index];
    if (part !== undefined)
      return high || bytes * 8 > part.bits ? undefined : truncated(part.value, (bytes * 8) as Bits);
    if (value === undefined || bytes === 8) return value;
    if ('to' in value) return undefined;
    const from = high ? shiftedRight(value, 8, 64, false) : value;
    return from && truncated(from, (bytes * 8) as Bits);
  }

  private writeRegister({ index, bytes, high }: GprOperand, value: Value): void {
    const isPointer = value !== undefined && 'to' in value;
    if (bytes === 8) this.set(index, value);
    else if (bytes === 4) this.set(index, isPointer ? undefined : value && truncated(value, 32));
    else {
      this.set(index, undefined);
      if (value === undefined || isPointer || high) return;
      const bits = bytes === 1 ? 8 : 16;
      const low = truncated(value, bits);
      const parts = Array.from({ length: 16 }, (_, register) => this.lowParts[register]);
      parts[index] = low && { bits, value: low };
      this.lowParts = parts;
    }
  }

  /** The address of a memory operand, or its lowest bits: lea is an addition, too. */
  address({ base, index, scaleShift, displacement, segment, addressBytes }: MemoryOperand, bits: Bits = 64): Value {
    if (segment !== undefined || (addressBytes !== 8 && bits > 32)) return undefined;
    let address: Value = constantTerm(BigInt(displacement));
    if (base >= 0) address = added(this.registers[base], address, bits);
    if (index >= 0) {
      const value = this.registers[index];
      const scaled = value === undefined || 'to' in value ? undefined : shiftedLeft(value, scaleShift, bits);
      address = added(address, scaled, bits);
    }
    return address;
  }

  load(address: Value, bytes: number, image: ImageReader): Value {
    if (address === undefined) return undefined;
    if (!('to' in address)) {
      if (address.constant === undefined) return loaded(address, bytes, (at, size) => image.table(at, size));
      const value = image.constant(address.constant, bytes);
      return value === undefined ? undefined : constantTerm(value);
    }
    switch (address.to) {
      case 'irp':
        return address.offset === IRP.CurrentStackLocation.offset && bytes === 8
          ? { to: 'location', offset: 0 }
          : undefined;
      case 'location':
        if (address.offset === IO_STACK_LOCATION.IoControlCode.offset && bytes >= 4) return controlCode;
        if (address.offset === IO_STACK_LOCATION.MajorFunction.offset && bytes === 1) {
          return constantTerm(MajorFunction.DeviceControl);
        }
        return undefined;
      case 'stack': {
        const slot = this.stack.get(address.offset);
        if (slot === undefined || bytes > slot.bytes || slot.value === undefined) return undefined;
        if ('to' in slot.value) return bytes === 8 ? slot.value : undefined;
        return truncated(slot.value, (bytes * 8) as Bits);
      }
    }
  }

  store(address: Value, bytes: number, value: Value): void {
    if (address === undefined || !('to' in address) || address.to !== 'stack') return;
    const { offset } = address;
    for (const [start, slot] of this.stack) {
      if (start < offset + bytes && offset < start + slot.bytes) this.stack.delete(start);
    }
    if (value !== undefined) this.stack.set(offset, { bytes, value });
  }

  /** Moves the stack pointer; where that is lost, what stands on the stack is. */
  moveStack(bytes: number): void {
    const pointer = this.registers[Register.Rsp];
    if (pointer !== undefined && 'to' in pointer) {
      this.set(Register.Rsp, { to: pointer.to, offset: pointer.offset + bytes });
    }
  }
}

/** The sum of two values; pointers move by constants. */
export function added(a: Value, b: Value, bits: Bits): Value {
  if (a === undefined || b === undefined) return undefined;
  if ('to' in a) return 'to' in b ? undefined : moved(a, b, bits, 1n);
  if ('to' in b) return moved(b, a, bits, 1n);
  return sum(a, b, bits);
}

export function subtracted(a: Value, b: Value, bits: Bits): Value {
  if (a === undefined || b === undefined || 'to' in b) return undefined;
  return 'to' in a ? moved(a, b, bits, -1n) : difference(a, b, bits);
}

function moved(pointer: Pointer, by: Term, bits: Bits, sign: bigint): Value {
  if (by.constant === undefined || bits !== 64) return undefined;
  return { to: pointer.to, offset: pointer.offset + Number(sign * BigInt.asIntN(64, by.constant)) };
}

function isSame(a: Value, b: Value): boolean {
  if (a === undefined || b === undefined) return a === b;
  if ('to' in a) return 'to' in b && a.to === b.to && a.offset === b.offset;
  return !('to' in b) && a.text === b.text;
}
