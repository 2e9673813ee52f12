/**
 * `nt!PoolHitTag`, which a debugger sets to a pool tag: the machine then stops where a driver has just allocated or freed a
 * block with that tag ("Using the Kernel Debugger to Find a Kernel-Mode Memory Leak"). Windows stops within the
 * pool's routine, here the routine is done and the stop is where the driver goes on. Drivers know nothing of it.
 */
import type { Call, ResumedCall } from '../declare/call.ts';
import { ntInternals } from '../declare/nt-routine.ts';
import type { PoolBlock } from '../ex/pool.ts';

export const kdPoolHitTag = ntInternals(
  {},
  {
    PoolHitTag: {
      doc: 'variable of the kernel for debuggers; 0: none',
      sizeBytes: 4,
      initialise: (nt, va) => {
        nt.memory.writeU32(va, 0);
        const look = ({ block, caller }: { block: PoolBlock; caller: Call | ResumedCall | undefined }): void => {
          if (!nt.debugControl.isAttached || caller === undefined) return;
          const tag = nt.memory.readU32(va);
          // As frees compare tags: the highest bit is the owner's mark of protected pool.
          if (tag !== 0 && ((tag ^ block.tag) & 0x7fff_ffff) === 0)
            nt.debugControl.breakAfterCall(caller.returnAddress);
        };
        nt.events.on('poolAllocated', look);
        nt.events.on('poolFreed', look);
      },
    },
  },
);
