import type { IrqlName } from './nt-routine.ts';

type IrqlRange = readonly [IrqlName, IrqlName];

/** The IRQL ranges that most routines document. */
export const passiveOnly: IrqlRange = ['PASSIVE', 'PASSIVE'];
export const upToApc: IrqlRange = ['PASSIVE', 'APC'];
export const upToDispatch: IrqlRange = ['PASSIVE', 'DISPATCH'];
export const dispatchOnly: IrqlRange = ['DISPATCH', 'DISPATCH'];
export const anyIrql: IrqlRange = ['PASSIVE', 'HIGH'];
