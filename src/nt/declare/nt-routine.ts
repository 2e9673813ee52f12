/**
 * How a kernel routine is declared: once, at its implementation. The loader, the argument marshalling, the trace, the
 * IRQL rule, `poolproof inspect` and the table of what is supported all come from this declaration.
 */
import type { Va } from '../../base/va.ts';
import type { Nt } from '../nt.ts';
import type { Call, ResumedCall } from './call.ts';
import type { Outcome } from './outcome.ts';
import type { ParameterType, ReturnType } from './parameter-types.ts';

export const Irql = { PASSIVE: 0, APC: 1, DISPATCH: 2, SYNCH: 12, CLOCK: 13, IPI: 14, HIGH: 15 } as const;
export type IrqlName = keyof typeof Irql;

type ParametersShape = Record<
  string,
  ParameterType<number> | ParameterType<bigint> | ParameterType<boolean> | ParameterType<Va>
>;

export type ArgumentsOf<P> = { readonly [K in keyof P]: P[K] extends ParameterType<infer T> ? T : never };

export interface RoutineDeclaration<P extends ParametersShape = ParametersShape> {
  /** Header and documentation page: `wdm.h; nf-wdm-exallocatepool2`. Internal routines say what they stand for. */
  readonly doc: string;
  /** Lowest and highest IRQL that the documentation allows. Data for the IRQL checks; bodies do not test it. */
  readonly irql: readonly [IrqlName, IrqlName];
  /** In the order of the x64 arguments. */
  readonly params: P;
  /** More arguments follow (`DbgPrint`); the body reads them with {@link Call.slots}. */
  readonly isVariadic?: boolean;
  readonly returns: ReturnType;
  /** Left out when everything documented is done. */
  readonly support?: { readonly partial: string };
  /** Windows builds that export the name, where that is not all of them: first build number. */
  readonly since?: number;
  body(nt: Nt, args: ArgumentsOf<P>, call: Call): Outcome;
  /** Named points at which the routine goes on after it called the guest or waited. */
  readonly resume?: Readonly<Record<string, (nt: Nt, call: ResumedCall) => Outcome>>;
}

/** A declaration with the parameter types erased, as tables hold it. */
export type Routine = Omit<RoutineDeclaration, 'body'> & {
  body(nt: Nt, args: never, call: Call): Outcome;
};

/** Checks a declaration's types: the arguments of `body` follow from `params`. */
export function ntRoutine<const P extends ParametersShape>(declaration: RoutineDeclaration<P>): RoutineDeclaration<P> {
  return declaration;
}

/** Exported data: `MmHighestUserAddress`. Placed in the module's image at boot. */
export interface DataDeclaration {
  readonly doc: string;
  readonly sizeBytes: number;
  readonly initialise: (nt: Nt, va: Va) => void;
}

export type KernelModuleName = 'ntoskrnl.exe' | 'hal.dll';

/** Routines and data of one component that belong to one module. */
export interface KernelComponent {
  readonly module: KernelModuleName;
  /** False for routines that only the kernel itself calls, and data that only debuggers know. */
  readonly isExported: boolean;
  readonly routines: Readonly<Record<string, Routine>>;
  readonly data: Readonly<Record<string, DataDeclaration>>;
}

/** @example export const exPool = ntExports('ntoskrnl.exe', { ExFreePool: ntRoutine({ … }) }); */
export function ntExports<R extends Record<string, Routine>>(
  module: KernelModuleName,
  routines: R,
  data: Record<string, DataDeclaration> = {},
): KernelComponent & { readonly routines: R } {
  return { module, isExported: true, routines, data };
}

/** Routines and data that have an address in the kernel (stacks and debuggers show them) and no export. */
export function ntInternals<R extends Record<string, Routine>>(
  routines: R,
  data: Record<string, DataDeclaration> = {},
): KernelComponent & { readonly routines: R } {
  return { module: 'ntoskrnl.exe', isExported: false, routines, data };
}
