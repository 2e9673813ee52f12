/** The Driver Verification List of `!verifier`: each verified driver, and what it holds of pool. */
import { hexVa, type Va } from '../base/va.ts';
import { tagText } from '../nt/declare/parameter-types.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { PoolCounters, TrackedAllocation } from '../verifier/pool-tracking/tracked-allocations.ts';
import { symbolAt } from './addresses.ts';
import { CommandError, terminating } from './command.ts';
import type { Session } from './session.ts';
import type { Target } from './target.ts';

/** How many rows are printed between two looks at the host. */
const rowsPerSlice = 512;

/** How much is told of each driver. */
export type DriverDetail = 'bytes' | 'allocations';

/** `image` undefined: all of them. */
export async function printDrivers(
  session: Session,
  image: KernelImage | undefined,
  detail: DriverDetail,
): Promise<void> {
  const { target } = session;
  for (const line of ['', 'Driver Verification List', '------------------------']) session.print(line);
  for (const driver of image === undefined ? target.verifiedImages : [image]) {
    await printDriver(session, driver, detail);
  }
}

/** The verified driver that was named, with or without its extension. */
export function verifiedImage({ verifiedImages }: Target, name: string): KernelImage {
  const wanted = name.toLowerCase();
  const image = verifiedImages.find(
    (one) => one.fileName.toLowerCase() === wanted || one.name.toLowerCase() === wanted,
  );
  if (image !== undefined) return image;
  const names = verifiedImages.map(({ fileName }) => fileName).join(', ');
  throw new CommandError(`${name} is not verified. Verified: ${names === '' ? 'no driver' : names}`);
}

async function printDriver(session: Session, image: KernelImage, detail: DriverDetail): Promise<void> {
  const { target } = session;
  const record = target.poolTracking?.recordOf(image);
  const type = record === undefined ? 'Driver' : `nt!_VF_TARGET_DRIVER ${hexVa(record)}`;
  session.print();
  session.print(`${type}: ${image.fileName} (${driverState(target, image)})`);
  session.print();
  const counters = target.poolTracking?.allocations.countersOf(image.index);
  if (counters === undefined) {
    session.print('    Pool tracking (0x00000008) is off: nothing is recorded of its pool.');
    return;
  }
  const { nonPaged, paged } = counters;
  const both = (name: string, value: (counters: PoolCounters) => number): string =>
    `      ${`${name}:`.padEnd(25)} ( 0x${hex8(value(nonPaged))} / 0x${hex8(value(paged))} )`;
  session.print('    Pool Allocation Statistics: ( NonPagedPool / PagedPool )');
  session.print();
  if (detail === 'bytes') {
    session.print(both('Current Pool Bytes', ({ currentBytes }) => currentBytes));
    return;
  }
  session.print(both('Current Pool Allocations', ({ currentAllocations }) => currentAllocations));
  session.print(both('Current Pool Bytes', ({ currentBytes }) => currentBytes));
  session.print(both('Peak Pool Allocations', ({ peakAllocations }) => peakAllocations));
  session.print(both('Peak Pool Bytes', ({ peakBytes }) => peakBytes));
  session.print(`      Contiguous Memory Bytes:       0x${hex8(counters.contiguousMemoryBytes)}`);
  session.print(`      Peak Contiguous Memory Bytes:  0x${hex8(counters.peakContiguousMemoryBytes)}`);
  await printAllocations(session, image);
}

async function printAllocations(session: Session, image: KernelImage): Promise<void> {
  const { target } = session;
  // Stacks that are equal are one array; of a million blocks there are few.
  const callers = new Map<readonly Va[], string>();
  let rows = 0;
  for (const allocation of target.poolTracking?.allocations.ofImage(image.index) ?? []) {
    if (rows === 0) {
      session.print();
      session.print('    Pool Allocations:');
      session.print();
      session.print('      Address             Length      Tag   Caller Address    ');
      session.print('      ------------------  ----------  ----  ------------------');
    }
    const { stack } = allocation;
    const caller = callers.get(stack) ?? callerText(session, stack);
    callers.set(stack, caller);
    session.print(allocationRow(allocation, caller));
    if (++rows % rowsPerSlice === 0 && !(await session.breathe())) throw new CommandError(terminating);
  }
}

function allocationRow({ va, bytes, tag }: TrackedAllocation, caller: string): string {
  return `      ${hexVa(va)}  0x${hex8(bytes)}  ${tagText(tag)}  ${caller}`;
}

/** Address and symbol. */
function callerText(session: Session, stack: readonly Va[]): string {
  const caller = session.stacks.driverPlace(stack)?.address ?? stack[1] ?? stack[0];
  if (caller === undefined) return '';
  const symbol = symbolAt(session, caller);
  return symbol === undefined ? hexVa(caller) : `${hexVa(caller)}  ${symbol}`;
}

/** `Loaded and Unloaded`: it was there, and is gone or going. */
function driverState({ nt, poolTracking }: Target, image: KernelImage): string {
  if (!image.isLoaded) return 'Loaded and Unloaded';
  const end = nt.end.value;
  if (end?.kind === 'bug-check' && end.bugCheck.code === 0xc4 && end.bugCheck.parameters[0] === 0x62) {
    if (end.bugCheck.parameters[2] === poolTracking?.recordOf(image)) return 'Loaded and Unloaded';
  }
  const driver = nt.io.drivers.ofImage(image);
  // A kernel-mode DLL has no driver object; it is loaded with who imports from it.
  if (driver === undefined && nt.images.importersOf(image).length === 0) return 'Never Loaded';
  return 'Loaded';
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
