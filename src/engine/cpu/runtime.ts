/**
 * The small module that is there before anything is translated: the functions in the reserved slots of the table, and
 * the loop that host code enters.
 */
import { cpuStateOffset } from '../memory/layout.ts';
import { StateOffset } from './state.ts';
import { dispatchSlotOf, lazySlot, unitType } from './translate-control.ts';
import { functionTypes, importedFunctions, type RuntimeImports } from './translated-module.ts';
import { writeModule } from './wasm-module.ts';
import { CodeWriter, Op, WasmType } from './wasm-writer.ts';

/** Slots of the table: calls {@link RuntimeHooks.hostCall}; returns 1. */
export const hostSlot = 1;
export const leaveSlot = 2;
export const reservedSlots = 3;

export interface RuntimeHooks {
  /** Table slot of what stands at RIP. */
  readonly resolve: () => number;
  /** 0 = go on at RIP, 1 = leave. */
  readonly hostCall: () => number;
}

export interface Runtime {
  readonly table: WebAssembly.Table;
  /** Runs from RIP until something leaves; returns 1 then. */
  readonly enter: () => number;
  /** What translated modules import. */
  readonly imports: RuntimeImports;
}

const resolveImport = 0;
const hostCallImport = 1;
const firstForwarded = 2;

/** `functions` are given on as WebAssembly functions: a module that imports JavaScript ones takes longer to instantiate. */
export function buildRuntime(memory: WebAssembly.Memory, hooks: RuntimeHooks, functions: RuntimeImports): Runtime {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1024 });

  const lazy = new CodeWriter(1);
  lazy.get(0);
  lazy.call(resolveImport);
  lazy.returnCallIndirect(unitType);

  const host = new CodeWriter(1);
  host.call(hostCallImport);

  const leave = new CodeWriter(1);
  leave.i32(1);

  const enter = new CodeWriter(0);
  const target = enter.newLocal(WasmType.I64);
  const entry = enter.newLocal(WasmType.I32);
  const again = enter.loop();
  enter.i32(0);
  enter.memory(Op.I64Load, cpuStateOffset + StateOffset.Rip);
  enter.set(target);
  enter.i32(0);
  dispatchSlotOf(enter, target, entry);
  enter.callIndirect(unitType);
  enter.op(Op.I32Eqz);
  enter.brIf(again);
  enter.end();
  enter.i32(1);

  const forwarded = importedFunctions.map(({ name, type }, index) => {
    const parameters = functionTypes[type]?.parameters.length ?? 0;
    const forward = new CodeWriter(parameters);
    for (let parameter = 0; parameter < parameters; parameter++) forward.get(parameter);
    forward.call(firstForwarded + index);
    return { type, body: forward.finish(), exportAs: name };
  });

  const bytes = writeModule({
    types: functionTypes,
    imports: [{ name: 'resolve', type: 3 }, { name: 'hostCall', type: 3 }, ...importedFunctions],
    functions: [
      { type: 0, body: lazy.finish(), slot: lazySlot },
      { type: 0, body: host.finish(), slot: hostSlot },
      { type: 0, body: leave.finish(), slot: leaveSlot },
      { type: 3, body: enter.finish(), exportAs: 'enter' },
      ...forwarded,
    ],
  });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    e: { memory, table, ...hooks, ...functions },
  });
  const lazyFunction: unknown = table.get(lazySlot);
  for (let slot = reservedSlots; slot < table.length; slot++) table.set(slot, lazyFunction);
  const { enter: enterExport } = instance.exports;
  return { table, enter: enterExport as () => number, imports: instance.exports as unknown as RuntimeImports };
}
