/**
 * Instructions that transfer control: calls, returns, jumps, traps, and those that the host performs.
 *
 * Fuel is looked at where a cycle can close, by the instruction alone so that every translation agrees: at direct
 * jumps and calls to an address at or below their own, at indirect jumps and calls, and at returns.
 */
import type { Va } from '../../base/va.ts';
import { cpuStateOffset, dispatchTableBits, dispatchTableOffset } from '../memory/layout.ts';
import { depthLocal, type Emitter, Import } from './emitter.ts';
import { allFlags } from './flag-liveness.ts';
import { Mnemonic } from './iced.ts';
import type { Instruction, Operand } from './instruction.ts';
import { Gpr, StateOffset } from './state.ts';
import { loadFromStack, moveStack, pushOnStack } from './translate-stack.ts';
import type { UnitTranslation } from './translate-unit.ts';
import type { Block, Edge } from './unit.ts';
import { controlRegister8 } from './unit.ts';
import { type CodeWriter, type Label, Op, WasmType } from './wasm-writer.ts';

/** Wasm frames that may stand on each other; one of the baseline compiler can take some KB. */
export const maxDepth = 200;

/** Type index of `(i32) -> i32`, the type of all translated functions. */
export const unitType = 0;

/** Slot of the function that translates, on first use, what stands at RIP. */
export const lazySlot = 0;

// ---- conditional branches

/** Pushes whether a jcc, loop or jrcxz is taken; decrements the counter of a loop. */
export function pushBranchCondition(e: Emitter, instruction: Instruction): void {
  const { code } = e;
  switch (instruction.mnemonic) {
    case Mnemonic.Jrcxz:
      e.flow.get(Gpr.Rcx);
      code.op(Op.I64Eqz);
      return;
    case Mnemonic.Jecxz:
      e.pushGpr(Gpr.Rcx, 4);
      code.op(Op.I32Eqz);
      return;
    case Mnemonic.Loop:
    case Mnemonic.Loope:
    case Mnemonic.Loopne:
      e.flow.get(Gpr.Rcx);
      code.i64(-1);
      code.op(Op.I64Add);
      e.flow.set(Gpr.Rcx);
      e.flow.get(Gpr.Rcx);
      code.op(Op.I64Eqz, Op.I32Eqz);
      if (instruction.mnemonic !== Mnemonic.Loop) {
        e.flags.push(3);
        if (instruction.mnemonic === Mnemonic.Loopne) code.op(Op.I32Eqz);
        code.op(Op.I32And);
      }
      return;
    default:
      e.flags.pushCondition(instruction.condition);
  }
}

// ---- leaving the unit

/** Stores RIP from what `push` pushes. */
function storeRip(e: Emitter, push: () => void): void {
  e.code.i32(0);
  push();
  e.code.memory(Op.I64Store, cpuStateOffset + StateOffset.Rip);
}

/** Goes on at an address outside of the unit, without nesting. */
export function tailJump(t: UnitTranslation, edge: Edge): void {
  const { emitter } = t;
  const { code, flow } = emitter;
  const flags = t.liveness.atEdge(edge);
  if (t.unit.isStep) {
    emitter.leave(emitter.addSite('flat', edge.va, 0, allFlags));
    return;
  }
  flow.writeBack(flags);
  t.storeFuel();
  const callee = t.environment.calleeAt(edge.va);
  if (callee.kind === 'local') {
    code.get(depthLocal);
    code.returnCall(callee.index);
    return;
  }
  storeRip(emitter, () => code.i64(edge.va));
  code.get(depthLocal);
  code.i32(callee.slot);
  code.returnCallIndirect(unitType);
}

/** Pushes the table slot for the address in a local (i64): a known one, or the one that translates. */
export function dispatchSlotOf(code: CodeWriter, target: number, entry: number): void {
  code.get(target);
  code.op(Op.I32WrapI64);
  code.tee(entry);
  code.get(entry);
  code.i32(4);
  code.op(Op.I32ShrU, Op.I32Xor);
  code.i32((1 << dispatchTableBits) - 1);
  code.op(Op.I32And);
  code.i32(4);
  code.op(Op.I32Shl);
  code.tee(entry);
  code.memory(Op.I32Load, dispatchTableOffset + 8);
  code.i32(lazySlot);
  code.get(entry);
  code.memory(Op.I64Load, dispatchTableOffset);
  code.get(target);
  code.op(Op.I64Eq, Op.Select);
}

function pushSlotOf(e: Emitter, target: number): void {
  dispatchSlotOf(e.code, target, e.temp(WasmType.I32));
}

/** Offset of an address's entry in the dispatch table. */
export function dispatchEntryOf(low: number): number {
  return dispatchTableOffset + (((low ^ (low >>> 4)) & ((1 << dispatchTableBits) - 1)) << 4);
}

/** Leaves if the fuel is used up; RIP is taken from a local. */
function checkFuelAt(t: UnitTranslation, target: number, flags: number): void {
  const { emitter } = t;
  storeRip(emitter, () => emitter.code.get(target));
  t.pushOutOfFuel();
  emitter.leaveIf(emitter.addSite('flat', undefined, 0, flags, { isCheckpoint: true }));
}

// ---- calls

/** Emits a call and what follows its return. False if nothing can follow. */
export function endWithCall(t: UnitTranslation, block: Block): boolean {
  const { emitter } = t;
  const { code, flow } = emitter;
  const instruction = block.instructions[block.instructions.length - 1] as Instruction;
  const [operand] = instruction.operands;
  const flags = t.environment.isExact ? allFlags : 0;
  if (operand === undefined || operand.kind === 'immediate' || (operand.kind === 'memory' && operand.bytes !== 8)) {
    emitter.leave(emitter.site('unsupported'));
    return false;
  }
  emitter.flags.put(flags);
  const target = operand.kind === 'target' ? undefined : pushTarget(emitter, operand);
  pushOnStack(emitter, 8, () => code.i64(instruction.next));
  const directVa = operand.kind === 'target' ? operand.va : undefined;
  if (t.unit.isStep) {
    if (target !== undefined) storeRip(emitter, () => code.get(target));
    const isCheckpoint = directVa === undefined || directVa <= instruction.va;
    emitter.leave(emitter.addSite('flat', directVa, 0, allFlags, { isCheckpoint }));
    return false;
  }
  if (target !== undefined) storeRip(emitter, () => code.get(target));
  const isCheckpoint = directVa === undefined || directVa <= instruction.va;
  code.get(depthLocal);
  code.i32(maxDepth);
  code.op(Op.I32GeU);
  if (isCheckpoint) {
    t.pushOutOfFuel();
    code.op(Op.I32Or);
  }
  emitter.leaveIf(emitter.addSite('flat', directVa, 0, flags, { isCheckpoint }));
  flow.writeBack(flags);
  t.storeFuel();
  const callee = directVa === undefined ? undefined : t.environment.calleeAt(directVa);
  if (callee?.kind === 'slot') storeRip(emitter, () => code.i64(directVa as Va));
  code.get(depthLocal);
  code.i32(1);
  code.op(Op.I32Add);
  if (callee?.kind === 'local') {
    code.call(callee.index);
  } else {
    if (callee) code.i32(callee.slot);
    else if (target !== undefined) pushSlotOf(emitter, target);
    code.callIndirect(unitType);
  }
  code.brIfUnlikely(labelOf(t.leaveLabel));
  code.i32(0);
  code.memory(Op.I64Load, cpuStateOffset + StateOffset.Rip);
  code.i64(instruction.next);
  code.op(Op.I64Ne);
  code.brIfUnlikely(labelOf(t.flatLabel));
  t.loadFuel();
  flow.load();
  t.checkFetch(instruction.next, t.environment.isExact ? allFlags : 0);
  return true;
}

function labelOf<T>(label: T | undefined): T {
  if (label === undefined) throw new RangeError('the label is not open');
  return label;
}

/** Evaluates an indirect target into a local. */
function pushTarget(e: Emitter, operand: Operand): number {
  const target = e.temp(WasmType.I64);
  e.pushOperand(operand, 8);
  e.code.set(target);
  return target;
}

// ---- other ends

/** Return, indirect jump, trap. */
export function endExit(t: UnitTranslation, block: Block): void {
  const { emitter } = t;
  const instruction = block.instructions[block.instructions.length - 1] as Instruction;
  const [operand] = instruction.operands;
  const isNear = operand?.kind === 'gpr' || (operand?.kind === 'memory' && operand.bytes === 8);
  if (instruction.mnemonic === Mnemonic.Ret) endWithReturn(t, instruction);
  else if (instruction.flow === 'indirect-jump' && operand && isNear) endWithIndirectJump(t, operand);
  else if (instruction.flow === 'trap') endWithTrap(t, instruction);
  else emitter.leave(emitter.site('unsupported'));
}

function endWithReturn(t: UnitTranslation, instruction: Instruction): void {
  const { emitter } = t;
  const { code, flow } = emitter;
  const flags = t.environment.isExact ? allFlags : 0;
  emitter.flags.put(flags);
  const [extra] = instruction.operands;
  const target = loadFromStack(emitter, 8);
  moveStack(emitter, 8 + (extra?.kind === 'immediate' ? Number(extra.value) & 0xffff : 0));
  flow.writeBack(flags);
  storeRip(emitter, () => code.get(target));
  t.storeFuel();
  if (t.unit.isStep) code.i32(1);
  else t.pushOutOfFuel();
  code.op(Op.Return);
}

function endWithIndirectJump(t: UnitTranslation, operand: Operand): void {
  const { emitter } = t;
  const { code, flow } = emitter;
  const flags = t.environment.isExact ? allFlags : 0;
  emitter.flags.put(flags);
  const target = pushTarget(emitter, operand);
  checkFuelAt(t, target, flags);
  flow.writeBack(flags);
  t.storeFuel();
  if (t.unit.isStep) {
    code.i32(1);
    code.op(Op.Return);
    return;
  }
  code.get(depthLocal);
  pushSlotOf(emitter, target);
  code.returnCallIndirect(unitType);
}

function endWithTrap(t: UnitTranslation, instruction: Instruction): void {
  const { emitter } = t;
  const [operand] = instruction.operands;
  let vector: number | undefined;
  if (instruction.mnemonic === Mnemonic.Int3) vector = 3;
  else if (instruction.mnemonic === Mnemonic.Int1) vector = 1;
  else if (instruction.mnemonic === Mnemonic.Ud0 || instruction.mnemonic === Mnemonic.Ud1) vector = 6;
  else if (instruction.mnemonic === Mnemonic.Ud2) vector = 6;
  else if (instruction.mnemonic === Mnemonic.Int && operand?.kind === 'immediate')
    vector = Number(operand.value) & 0xff;
  emitter.flags.put(emitter.flagsBefore);
  if (vector === undefined) emitter.leave(emitter.site('unsupported'));
  else emitter.leave(emitter.site('fault', vector));
}

/** An instruction that the host performs; RIP points behind it while it does. False if nothing can follow. */
export function endHost(t: UnitTranslation, block: Block): boolean {
  const { emitter } = t;
  const { code, flow } = emitter;
  const instruction = block.instructions[block.instructions.length - 1] as Instruction;
  emitter.flags.put(allFlags);
  const site = emitter.addSite('unsupported', instruction.va, 1, allFlags);
  const [to, from] = instruction.operands;
  const setsCr8 = to?.kind === 'other' && to.register === controlRegister8 && from?.kind === 'gpr';
  flow.writeBack(allFlags);
  t.storeFuel();
  storeRip(emitter, () => code.i64(instruction.next));
  code.i32(t.environment.unitId);
  code.i32(site);
  code.i32(setsCr8 ? from.index : -1);
  code.call(Import.HostInstruction);
  code.brIfUnlikely(labelOf(t.leaveLabel));
  t.loadFuel();
  if (t.unit.isStep) {
    emitter.leave(emitter.addSite('flat', undefined, 0, allFlags));
    return false;
  }
  code.i32(0);
  code.memory(Op.I64Load, cpuStateOffset + StateOffset.Rip);
  code.i64(instruction.next);
  code.op(Op.I64Ne);
  code.brIfUnlikely(labelOf(t.flatLabel));
  flow.load();
  t.checkFetch(instruction.next, allFlags);
  return true;
}

/** A jump table; see jump-table.ts. */
export function endWithTable(t: UnitTranslation, block: Block, emitEdge: (edge: Edge) => void): void {
  const { emitter } = t;
  const { code } = emitter;
  const instruction = block.instructions[block.instructions.length - 1] as Instruction;
  const end = block.end;
  if (end.kind !== 'table') return;
  const target = pushTarget(emitter, instruction.operands[0] as Operand);
  checkFuelAt(t, target, t.liveness.atEndOf(block));
  const labels = end.targets.map(() => code.block());
  const other = code.block();
  emitTargetSearch(code, target, end.targets, labels, other);
  code.end();
  emitter.flow.resume(block.index);
  emitter.flow.writeBack(t.liveness.atEndOf(block));
  t.storeFuel();
  code.get(depthLocal);
  pushSlotOf(emitter, target);
  code.returnCallIndirect(unitType);
  emitter.finish();
  for (let at = end.targets.length - 1; at >= 0; at--) {
    code.end();
    emitEdge(end.targets[at] as Edge);
  }
}

/** Goes to the label of the target that equals a local: binary search over the ascending addresses. */
function emitTargetSearch(
  code: CodeWriter,
  target: number,
  targets: readonly Edge[],
  labels: readonly Label[],
  other: Label,
): void {
  const search = (from: number, to: number): void => {
    if (to - from === 1) {
      code.get(target);
      code.i64((targets[from] as Edge).va);
      code.op(Op.I64Eq);
      code.brIf(labels[from] as Label);
      code.br(other);
      return;
    }
    const middle = (from + to) >> 1;
    code.get(target);
    code.i64((targets[middle] as Edge).va);
    code.op(Op.I64LtS);
    code.if();
    search(from, middle);
    code.end();
    search(middle, to);
  };
  search(0, targets.length);
}
