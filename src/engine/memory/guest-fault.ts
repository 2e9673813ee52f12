import { formatVa, type Va } from '../../base/va.ts';
import { Access } from './layout.ts';

export type FaultReason = 'not-mapped' | 'protection' | 'non-canonical' | 'pageable';

/**
 * A memory access that the guest may not make. Thrown by host accesses to guest memory (an export that reads a
 * driver's pointer) and caught at the boundary of the export, where it becomes what the processor would have raised.
 */
export class GuestFault {
  readonly va: Va;
  readonly access: Access;
  readonly reason: FaultReason;

  constructor(va: Va, access: Access, reason: FaultReason) {
    this.va = va;
    this.access = access;
    this.reason = reason;
  }

  toString(): string {
    const verb = this.access === Access.Write ? 'write' : this.access === Access.Read ? 'read' : 'execute';
    return `cannot ${verb} ${formatVa(this.va)}: ${this.reason}`;
  }
}
