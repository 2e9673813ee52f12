/**
 * The rules on the pool calls of a verified driver (automatic-checks.md of the WDK docs, bug check 0xC4 page). A call
 * that breaks one stops the machine before the pool sees it: with 0xC4 where an unverified driver meets 0xC2 or nothing.
 */
import type { Va } from '../../base/va.ts';
import { pageSize } from '../../engine/memory/layout.ts';
import { BugCheck } from '../../nt/declare/bug-check.ts';
import type { Call } from '../../nt/declare/call.ts';
import { Irql } from '../../nt/declare/nt-routine.ts';
import { POOL_TAG, POOL_TYPE, PVOID, SIZE_T, ULONG64 } from '../../nt/declare/parameter-types.ts';
import { isPagedPoolType, type PoolBlock, tagOf } from '../../nt/ex/pool.ts';
import { poolTypeOfFlags } from '../../nt/ex/pool-exports.ts';
import { proceed } from '../../nt/host-entries.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { IoType, IRP } from '../../nt/structures/io.ts';
import { PoolFlag, PoolType } from '../../nt/structures/pool.ts';
import { BadAddresses } from './bad-addresses.ts';
import { BlockContents } from './block-contents.ts';
import { violation } from './violation.ts';

/** What a call asks the pool for. */
interface Request {
  /** POOL_TYPE with its modifiers. */
  readonly poolType: number;
  readonly bytes: number;
  /** Undefined for the forms without one. */
  readonly tag: number | undefined;
  readonly chargesQuota: boolean;
}

/** Undefined: the routine itself refuses the call. */
type ReadRequest = (call: Call) => Request | undefined;

const byType =
  (isTagged: boolean, chargesQuota: boolean): ReadRequest =>
  (call) => ({
    poolType: POOL_TYPE.read(call, 0),
    bytes: SIZE_T.read(call, 1),
    tag: isTagged ? POOL_TAG.read(call, 2) : undefined,
    chargesQuota,
  });

/** ExAllocatePool2 answers NULL for bad flags and for tag 0. */
const byFlags: ReadRequest = (call) => {
  const flags = ULONG64.read(call, 0);
  const poolType = poolTypeOfFlags(flags & 0xffff_ffffn);
  const tag = POOL_TAG.read(call, 2);
  if (poolType === undefined || tag === 0) return undefined;
  return { poolType, bytes: SIZE_T.read(call, 1), tag, chargesQuota: (flags & PoolFlag.UseQuota) !== 0n };
};

const allocatingRoutines: Readonly<Record<string, ReadRequest>> = {
  ExAllocatePool: byType(false, false),
  ExAllocatePoolWithTag: byType(true, false),
  ExAllocatePoolWithTagPriority: byType(true, false),
  ExAllocatePoolWithQuota: byType(false, true),
  ExAllocatePoolWithQuotaTag: byType(true, true),
  ExAllocatePool2: byFlags,
  ExAllocatePool3: byFlags,
};
const freeingRoutines = ['ExFreePool', 'ExFreePoolWithTag', 'ExFreePool2'];

/** `BIG` as people write it in source (`'BIG'`) and as it reads in memory. */
const bigTags = [0x0042_4947, tagOf('BIG '), tagOf('BIG ') & 0x00ff_ffff];
const irpTag = tagOf('Irp ');

export interface PoolCallOptions {
  readonly isVerified: (image: KernelImage) => boolean;
  /** The quota rules, and what is known of the address of a block, belong to Pool tracking. */
  readonly hasPoolTracking: boolean;
  /** Then an ERESOURCE in freed memory is that option's. */
  readonly hasMiscellaneousChecks: boolean;
}

export class PoolCalls {
  private readonly nt: Nt;
  private readonly options: PoolCallOptions;
  private readonly badAddresses: BadAddresses;
  private readonly contents: BlockContents;

  constructor(nt: Nt, options: PoolCallOptions) {
    this.nt = nt;
    this.options = options;
    this.badAddresses = new BadAddresses(nt, options.hasPoolTracking);
    this.contents = new BlockContents(nt, options.hasMiscellaneousChecks);
    for (const [name, read] of Object.entries(allocatingRoutines)) {
      this.before(name, (call) => {
        const request = read(call);
        if (request !== undefined) this.checkAllocation(request, call);
      });
    }
    for (const name of freeingRoutines) this.before(name, (call) => this.checkFree(PVOID.read(call, 0)));
  }

  private before(name: string, check: (call: Call) => void): void {
    this.nt.entries.hook(name, {
      before: (_nt, call) => {
        if (call.image !== undefined && this.options.isVerified(call.image)) check(call);
        return proceed;
      },
    });
  }

  // ---- allocating

  private checkAllocation(request: Request, call: Call): void {
    const { poolType, bytes, tag } = request;
    const { irql } = this.nt.cpu.state;
    const isPaged = isPagedPoolType(poolType);
    const what = [irql, poolType, bytes] as const;
    if (bytes === 0) throw violation(0x00, what, 'the driver asked for 0 bytes of pool');
    if (isPaged && irql > Irql.APC) throw violation(0x01, what, 'the driver asked for paged pool above APC_LEVEL');
    if (!isPaged && irql > Irql.DISPATCH) {
      throw violation(0x02, what, 'the driver asked for nonpaged pool above DISPATCH_LEVEL');
    }
    const mustSucceed = (poolType & PoolType.NonPagedPoolMustSucceed) !== 0;
    if (mustSucceed && bytes > pageSize) {
      throw violation(0x03, what, 'the driver asked for more than a page of must-succeed pool, which is forbidden');
    }
    if (request.chargesQuota && this.options.hasPoolTracking) this.checkQuota();
    if (tag !== undefined) checkTag(tag, request, call);
  }

  /** In a DPC routine any process may be the current one; the Idle process never is one here. */
  private checkQuota(): void {
    if (!this.nt.interrupts.isDpcActive) return;
    throw violation(0x10b, [0, 0, 0], 'the driver charged pool quota from a DPC routine');
  }

  // ---- freeing

  private checkFree(va: Va): void {
    const block = this.nt.pool.driverBlockAt(va);
    if (block === undefined) throw this.badAddresses.freed(va);
    this.checkIrp(block);
    this.checkFreeIrql(block);
    this.contents.check(block);
  }

  private checkIrp({ va, family, tag }: PoolBlock): void {
    if (family !== 'irp' || tag !== irpTag || IRP.Type.get(this.nt.memory, va) !== IoType.Irp) return;
    throw violation(0x105, [va, 0, 0], 'the driver freed an IRP as pool; IoFreeIrp frees it');
  }

  private checkFreeIrql({ va, poolType }: PoolBlock): void {
    const { irql } = this.nt.cpu.state;
    const isPaged = isPagedPoolType(poolType);
    const what = [irql, poolType, va] as const;
    if (isPaged && irql > Irql.APC) throw violation(0x11, what, 'the driver freed paged pool above APC_LEVEL');
    if (!isPaged && irql > Irql.DISPATCH) {
      throw violation(0x12, what, 'the driver freed nonpaged pool above DISPATCH_LEVEL');
    }
  }
}

function isLetterOrDigit(code: number): boolean {
  const lower = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x7a);
}

function checkTag(tag: number, { poolType, bytes }: Request, call: Call): void {
  if (tag === 0)
    throw new BugCheck(0xc2, [0x9b, poolType, bytes, call.returnAddress], 'the driver asked for pool with tag 0');
  if (bigTags.includes(tag))
    throw new BugCheck(
      0xc2,
      [0x9c, poolType, bytes, call.returnAddress],
      "the driver asked for pool with the tag 'BIG'",
    );
  for (let shift = 0; shift < 32; shift += 8) {
    if (isLetterOrDigit((tag >>> shift) & 0xff)) return;
  }
  throw new BugCheck(
    0xc2,
    [0x9d, tag, poolType, call.returnAddress],
    'the driver asked for pool with a tag without letter or digit',
  );
}
