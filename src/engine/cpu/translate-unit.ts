/**
 * One unit to one WebAssembly function: blocks in structured order, their instructions, the jumps between them.
 *
 * The function takes the nesting depth and returns 0 after a guest return (RIP and registers stand in the CPU state)
 * or 1 to leave: all frames then return 1 and the host goes on from the CPU state.
 */
import { assert } from '../../base/errors.ts';
import type { Va } from '../../base/va.ts';
import { cpuStateOffset, pageTableHighIrqlOffset } from '../memory/layout.ts';
import { Emitter } from './emitter.ts';
import { ExitReason, type ExitSite } from './exit-site.ts';
import { allFlags, FlagLiveness, mayFault } from './flag-liveness.ts';
import type { Instruction } from './instruction.ts';
import { translateInstruction } from './instructions.ts';
import { StateOffset } from './state.ts';
import { analyseFlow, type FlowShape } from './structure.ts';
import { endExit, endHost, endWithCall, endWithTable, pushBranchCondition, tailJump } from './translate-control.ts';
import { type Block, type Edge, successorsOf, type Unit } from './unit.ts';
import { type FunctionBody, type Label, Op, WasmType } from './wasm-writer.ts';

/** Where a direct call or jump to another unit goes: a function of the same module, or a slot of the table. */
export type Callee =
  | { readonly kind: 'local'; readonly index: number }
  | { readonly kind: 'slot'; readonly slot: number };

export interface UnitEnvironment {
  /** Number by which the host finds the unit's sites again. */
  readonly unitId: number;
  readonly calleeAt: (va: Va) => Callee;
  readonly isFunctionStart: (va: Va) => boolean;
  /** Whether an address outside of the unit is one of {@link TranslatedUnit.headers} of another. */
  readonly isHeader: (va: Va) => boolean;
  readonly isExact: boolean;
  /** Whether the code at an address is paged out at DISPATCH_LEVEL, so that fetching it there faults. */
  readonly isPageable: (va: Va) => boolean;
  /** Uses the dispatch loop even where structured control flow is possible; for tests. */
  readonly forcesDispatchLoop: boolean;
}

export interface TranslatedUnit {
  readonly body: FunctionBody;
  readonly sites: readonly ExitSite[];
  /** Starts of loops where no flags are read. */
  readonly headers: readonly Va[];
  /** The unit reads flags that its caller, or a function it calls, left: only right with exact flags. */
  readonly needsExactFlags: boolean;
}

export function translateUnit(unit: Unit, environment: UnitEnvironment): TranslatedUnit {
  return new UnitTranslation(unit, environment).run();
}

/** What the control instructions share; see translate-control.ts. */
export class UnitTranslation {
  readonly unit: Unit;
  readonly environment: UnitEnvironment;
  readonly emitter: Emitter;
  readonly liveness: FlagLiveness;
  private readonly sites: ExitSite[] = [];
  private readonly successors: number[][];
  private readonly shape: FlowShape;
  private readonly loopLabels: (Label | undefined)[];
  private readonly mergeLabels: (Label | undefined)[];
  private dispatch: { readonly label: Label; readonly next: number } | undefined;
  /** Branch here with a condition to return 1, or 0. */
  leaveLabel: Label | undefined;
  flatLabel: Label | undefined;

  constructor(unit: Unit, environment: UnitEnvironment) {
    this.unit = unit;
    this.environment = environment;
    this.successors = unit.blocks.map(successorsOf);
    this.shape = analyseFlow(this.successors);
    this.emitter = new Emitter({ addSite: (site) => this.sites.push(site) - 1 }, this.successors);
    this.liveness = new FlagLiveness(unit, {
      exact: environment.isExact,
      areFlagsDeadAt: (edge) => environment.isFunctionStart(edge.va) || environment.isHeader(edge.va),
    });
    this.loopLabels = new Array(unit.blocks.length).fill(undefined);
    this.mergeLabels = new Array(unit.blocks.length).fill(undefined);
  }

  run(): TranslatedUnit {
    const { emitter } = this;
    const { code, flow } = emitter;
    emitter.openExit();
    this.leaveLabel = code.block();
    this.flatLabel = code.block();
    this.loadFuel();
    flow.loadAtRoot();
    flow.enter(0);
    this.checkFetch(this.unit.root, this.liveness.atStart(0));
    if (this.shape.isReducible && !this.environment.forcesDispatchLoop) this.emitTree(0);
    else this.emitDispatchLoop();
    code.op(Op.Unreachable);
    code.end();
    code.i32(0);
    code.op(Op.Return);
    code.end();
    code.i32(1);
    code.op(Op.Return);
    code.end();
    this.emitSharedExit();
    flow.solve();
    const readsAtEntry = this.liveness.atStart(0) !== 0 && this.environment.isFunctionStart(this.unit.root);
    const needsExactFlags = !this.environment.isExact && (this.liveness.readsAfterCall || readsAtEntry);
    const headers = this.unit.blocks
      .filter(({ index }) => this.shape.isHeader[index] !== 0 && this.liveness.atStart(index) === 0)
      .map(({ start }) => start);
    return { body: code.finish(), sites: this.sites, headers, needsExactFlags };
  }

  private emitSharedExit(): void {
    const { emitter } = this;
    const { code } = emitter;
    emitter.flow.saveForExits();
    this.storeFuel();
    const field = (offset: number, push: () => void): void => {
      code.i32(0);
      push();
      emitter.storeState32(offset);
    };
    field(StateOffset.ExitReason, () => code.i32(ExitReason.Site));
    field(StateOffset.ExitOperand, () => emitter.pushSite());
    field(StateOffset.ExitUnit, () => code.i32(this.environment.unitId));
    code.i32(1);
  }

  // ---- control flow

  /** Emits a block and all that it dominates. */
  private emitTree(root: number): void {
    const { code } = this.emitter;
    let openLoops = 0;
    let at: number | undefined = root;
    while (at !== undefined) {
      const block: number = at;
      if (this.shape.isHeader[block] !== 0) {
        this.loopLabels[block] = code.loop();
        openLoops++;
      }
      const merges = this.shape.mergeChildren[block] as readonly number[];
      for (const merge of merges) this.mergeLabels[merge] = code.block();
      const inline = this.emitBlock(this.unit.blocks[block] as Block);
      if (merges.length === 0) {
        at = inline;
        continue;
      }
      if (inline !== undefined) this.emitTree(inline);
      for (let index = merges.length - 1; index > 0; index--) {
        code.end();
        this.emitTree(merges[index] as number);
      }
      code.end();
      at = merges[0];
    }
    for (; openLoops > 0; openLoops--) code.end();
  }

  private emitDispatchLoop(): void {
    const { code } = this.emitter;
    const next = code.newLocal(WasmType.I32);
    const label = code.loop();
    this.dispatch = { label, next };
    const order = this.shape.order;
    const labels: Label[] = new Array(this.unit.blocks.length).fill(label);
    for (let index = order.length - 1; index >= 0; index--) labels[order[index] as number] = code.block();
    code.get(next);
    code.brTable(labels, label);
    for (const block of order) {
      code.end();
      this.emitBlock(this.unit.blocks[block] as Block);
    }
    code.end();
  }

  /** Goes from a block to an edge's target. Returns a block whose code has to follow here. */
  private emitEdge(from: Block, edge: Edge): number | undefined {
    const { code, flow } = this.emitter;
    flow.resume(from.index);
    const source = from.instructions[from.instructions.length - 1];
    const isTaken = source !== undefined && edge.va !== source.next;
    if (isTaken && edge.va <= source.va) {
      this.checkFuel(edge.va, this.environment.isExact ? allFlags : this.liveness.atEdge(edge));
    }
    const to = edge.block;
    if (to < 0) {
      tailJump(this, edge);
      return undefined;
    }
    if (this.dispatch) {
      code.i32(to);
      code.set(this.dispatch.next);
      code.br(this.dispatch.label);
      return undefined;
    }
    if ((this.shape.position[to] as number) <= (this.shape.position[from.index] as number)) {
      code.br(this.labelOf(this.loopLabels, to));
      return undefined;
    }
    if (this.shape.isMerge[to] !== 0) {
      code.br(this.labelOf(this.mergeLabels, to));
      return undefined;
    }
    return to;
  }

  /** As {@link emitEdge}, with the code of an inlined target in place. */
  private emitWholeEdge(from: Block, edge: Edge): void {
    const inline = this.emitEdge(from, edge);
    if (inline !== undefined) this.emitTree(inline);
  }

  private labelOf(labels: readonly (Label | undefined)[], block: number): Label {
    const label = labels[block];
    assert(label !== undefined, 'a block has a label where it is jumped to');
    return label;
  }

  // ---- blocks

  private emitBlock(block: Block): number | undefined {
    const { emitter } = this;
    emitter.flow.enter(block.index);
    const count = block.instructions.length;
    if (count > 0) this.subtractFuel(count);
    const { before, after } = this.liveness.around(block);
    const isPlainEnd = block.end.kind === 'next' || block.end.kind === 'no-code';
    for (let index = 0; index < count; index++) {
      const instruction = block.instructions[index] as Instruction;
      emitter.begin(instruction, before[index] as number, after[index] as number, count - index, mayFault(instruction));
      const isControl = index === count - 1 && (!isPlainEnd || instruction.flow === 'jump');
      if (isControl) break;
      const isDone = this.emitInstruction(instruction);
      emitter.finish();
      if (!isDone) {
        // Nothing behind an instruction that is not supported can be reached.
        emitter.flags.forget();
        emitter.finish();
        return undefined;
      }
    }
    const inline = this.emitEnd(block);
    emitter.flags.forget();
    emitter.finish();
    return inline;
  }

  private emitInstruction(instruction: Instruction): boolean {
    if (translateInstruction(this.emitter, instruction) !== false) return true;
    this.emitter.leave(this.emitter.site('unsupported'));
    return false;
  }

  private emitEnd(block: Block): number | undefined {
    const { emitter } = this;
    const { code, flags } = emitter;
    const end = block.end;
    switch (end.kind) {
      case 'next':
        flags.put(this.liveness.atEndOf(block));
        flags.forget();
        return this.emitEdge(block, end.next);
      case 'branch': {
        const instruction = block.instructions[block.instructions.length - 1] as Instruction;
        flags.put(this.liveness.atEndOf(block));
        pushBranchCondition(emitter, instruction);
        flags.forget();
        emitter.finish();
        code.if();
        this.emitWholeEdge(block, end.taken);
        code.end();
        return this.emitEdge(block, end.next);
      }
      case 'call':
        return endWithCall(this, block) ? this.emitEdge(block, end.next) : undefined;
      case 'host':
        return endHost(this, block) ? this.emitEdge(block, end.next) : undefined;
      case 'table':
        flags.put(this.liveness.atEndOf(block));
        flags.forget();
        endWithTable(this, block, (edge) => this.emitWholeEdge(block, edge));
        return undefined;
      case 'exit':
        endExit(this, block);
        return undefined;
      case 'no-code':
        flags.put(0x3f);
        emitter.leave(emitter.addSite('no-code', end.failure.va, 0, 0x3f));
        return undefined;
    }
  }

  /** Leaves at `va` if its page is paged out now; where control or the IRQL comes from elsewhere. */
  checkFetch(va: Va, flags: number): void {
    if (!this.environment.isPageable(va)) return;
    const { emitter } = this;
    emitter.pushState32(StateOffset.PageTable);
    emitter.code.i32(pageTableHighIrqlOffset);
    emitter.code.op(Op.I32Eq);
    emitter.leaveIf(emitter.addSite('no-code', va, 0, flags));
  }

  // ---- fuel

  private subtractFuel(instructions: number): void {
    const { code, fuelLocal } = this.emitter;
    code.get(fuelLocal);
    code.i32(instructions);
    code.op(Op.I32Sub);
    code.set(fuelLocal);
  }

  /** Leaves with RIP = `target` if the fuel is used up. */
  checkFuel(target: Va, flags: number): void {
    const { emitter } = this;
    this.pushOutOfFuel();
    emitter.leaveIf(emitter.addSite('flat', target, 0, flags, { isCheckpoint: true }));
  }

  pushOutOfFuel(): void {
    const { code, fuelLocal } = this.emitter;
    code.get(fuelLocal);
    code.i32(0);
    code.op(Op.I32LeS);
  }

  storeFuel(): void {
    const { code, fuelLocal } = this.emitter;
    code.i32(0);
    code.get(fuelLocal);
    code.memory(Op.I32Store, cpuStateOffset + StateOffset.Fuel);
  }

  loadFuel(): void {
    const { code, fuelLocal } = this.emitter;
    code.i32(0);
    code.memory(Op.I32Load, cpuStateOffset + StateOffset.Fuel);
    code.set(fuelLocal);
  }
}
