/** `!dma`, line by line; and that it shows what the verdict's leaks of DMA are. */
import { expect, it } from 'vitest';
import { hexVa } from '../../src/base/va.ts';
import type { Leak } from '../../src/run/report/report.ts';
import { type DebuggedMachine, debug, debugAt, expectTranscript } from './transcript.ts';

const folder = import.meta.dirname;
const rules = 'test/drivers/dma-rules/dma-rules.sys';
const stepsOf = (use: string): string[] => [
  'open \\\\.\\DmaRules',
  `ioctl 0x222000 in=${Buffer.from(use).toString('hex')}`,
  'close',
];

/** The machine as the use leaves it: stopped by its bug check, or at the end of its life. */
function after(use: string, flags?: number): DebuggedMachine {
  const debugged = debug([rules], stepsOf(use), flags === undefined ? {} : { flags });
  debugged.machine.run();
  return debugged;
}

/** Where the driver's `DeviceWrites` is reached the `count`th time. */
function atDevice(use: string, count = 1): DebuggedMachine {
  const debugged = debugAt([rules], 'dma_rules!DeviceWrites', stepsOf(use));
  for (let time = 1; time < count; time++) expect(debugged.machine.resume()).toBe('stopped');
  return debugged;
}

/** The lines with the adapter's address in the place of `adapter`. */
async function typed({ machine, type }: DebuggedMachine, lines: readonly string[]): Promise<string> {
  const [adapter] = machine.nt.dma.adapters.keys();
  const address = (adapter === undefined ? '0x0' : hexVa(adapter as never)).slice(2);
  return type(lines.map((line) => line.replace('adapter', address)));
}

it('the list of adapters, and one of them', async () => {
  expectTranscript(
    folder,
    'dma',
    await typed(after('leak-common-buffers'), ['!dma', '!dma adapter', '!dma adapter 4']),
  );
});

it('map registers, wait context block, device description', async () => {
  const debugged = atDevice('keep-registers', 2);
  expectTranscript(folder, 'dma-map-registers', await typed(debugged, ['!dma adapter 2', '!dma adapter 30']));
});

it('pieces of a page have one map register', async () => {
  expectTranscript(folder, 'dma-pieces', await typed(atDevice('small-pieces', 9), ['!dma adapter 2']));
});

it('the wait context block of a channel that is held', async () => {
  expectTranscript(folder, 'dma-wait-context', await typed(after('leak-channel'), ['!dma adapter 20']));
});

it('the wait context block of AllocateAdapterChannelEx, which is in its DMA transfer context', async () => {
  const debugged = debugAt([rules], 'dma_rules!DeviceWrites', stepsOf('version-3'));
  const [channel] = debugged.machine.nt.dma.channels.values();
  expect(channel?.context).not.toBe(0);
  const text = await typed(debugged, ['!dma adapter 20']);
  expect(text).toMatch(new RegExp(`WCB: +${hexVa(((channel?.context ?? 0) + 16) as never).slice(2)}`));
  expect(text).toContain('NumberOfMapRegisters: 2');
});

it('scatter/gather lists', async () => {
  expectTranscript(folder, 'dma-lists', await typed(atDevice('lists'), ['!dma adapter 8']));
});

it('all adapters', async () => {
  const debugged = debugAt([rules], 'nt!HalFreeCommonBuffer', stepsOf('several-adapters'));
  expectTranscript(folder, 'dma-all', await debugged.type(['!dma', '!dma 0', '!dma 0 4']));
});

it('what is no adapter, and none at all', async () => {
  const debugged = after('leak-common-buffers');
  expectTranscript(folder, 'dma-usage', await typed(debugged, ['!dma 1', '!dma adapter 40', '!dma adapter 1 2']));
  expectTranscript(folder, 'dma-none', await typed(after('lists'), ['!dma', '!dma 0']));
});

it('without DMA checking: nothing of what Verifier knows', async () => {
  expectTranscript(
    folder,
    'dma-unverified',
    await typed(after('leak-adapter-and-buffer', 0x8), ['!dma', '!dma adapter 3f']),
  );
});

it.each([
  'leak-common-buffers',
  'leak-channel',
  'leak-map-registers',
  'leak-list',
  'leak-adapter',
  'leak-adapter-and-buffer',
])('%s: what is outstanding is what is leaked', async (use) => {
  const { machine, type } = after(use);
  const { leaks } = machine.report();
  const counted = (kind: Leak['kind']): number =>
    leaks.filter((leak) => leak.kind === kind).reduce((sum, { count }) => sum + count, 0);
  const text = await type(['!dma', '!dma 0 f']);
  const outstanding = (name: string): number => {
    const [, allocated = '', freed = ''] = new RegExp(`${name}: +(\\w+) allocated, (\\w+) freed`).exec(text) ?? [];
    return Number.parseInt(allocated, 16) - Number.parseInt(freed, 16);
  };
  expect(outstanding('Common buffers')).toBe(counted('common-buffer'));
  expect(outstanding('Adapter channels')).toBe(counted('adapter-channel'));
  expect(outstanding('Scatter-gather lists')).toBe(counted('scatter-gather'));
  // Those of a list are the list's.
  if (counted('scatter-gather') === 0) expect(outstanding('Map registers')).toBe(counted('map-registers'));
  const addresses = leaks.filter(({ kind }) => kind === 'common-buffer').map(({ address }) => address.slice(2));
  expect([...text.matchAll(/Virtual address: {2}(\w+)/g)].map((match) => match[1])).toEqual(addresses);
  // An adapter that is being released is none that is leaked.
  const listed = [...text.matchAll(/^Adapter: (\w+) .* $/gm)].map((match) => match[1]);
  const isAtUnload = counted('adapter') > 0;
  if (isAtUnload) {
    const leaked = leaks.filter(({ kind }) => kind === 'adapter').map(({ address }) => address.slice(2));
    expect(new Set(listed)).toEqual(new Set(leaked));
  }
});
