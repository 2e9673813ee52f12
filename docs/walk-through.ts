/** What the product prints in walk-through.md, and the life that its pictures show. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseStep } from '../src/run/scenario/step.ts';
import { verify } from '../src/run/verify.ts';
import { commandTranscript } from './transcript.ts';

const device = '\\\\.\\LeakyMailbox';
const good = 'ioctl 0x222080 in=0100000005000000ed53710e68656c6c6f';
const bad = 'ioctl 0x222080 in=0100000005000000ee53710e68656c6c6f';
const fetchOne = 'ioctl 0x222084 out=64';

const engine = '\\\\.\\PCI#VEN_5050&DEV_0D4A&SUBSYS_00000000&REV_01#3&0&0&20#{c71b5e0a-44d9-4b7c-9e35-60a2f1d8b493}';
/** Begins in the last page of the engine's memory and goes on behind it. */
const refused = 'write 61*10000 at=0xff000';

/** Three times: a message that is taken and fetched, and one that is refused. */
export const mailboxSteps: readonly string[] = [
  `open ${device}`,
  ...[0, 1, 2].flatMap(() => [good, fetchOne, 'wait 1s', bad, 'wait 1s']),
  'close',
];

export const mailbox = 'drivers/leaky-mailbox/leaky-mailbox.sys';
export const dmaSample = 'drivers/dma-leaked-common-buffer/dma-leaked-common-buffer.sys';

const twoRefused = [`open ${device}`, bad, bad, 'close'];
const doSteps = (steps: readonly string[]): string[] => steps.flatMap((step) => ['--do', step]);
const kd = ['kd', mailbox, ...doSteps(twoRefused)];

/** By the names that they have in the page. */
export async function walkThroughParts(): Promise<Record<string, string>> {
  const leak = addressOfLeak();
  const listed = await commandTranscript([...kd], ['g', '!verifier 3', 'q']);
  const [, caller = ''] = /\s{2}Mail\s{2}(0x[0-9a-f]{16})/.exec(listed) ?? [];
  const dma = ['kd', dmaSample, '--device-model', 'pci-dma-engine', ...doSteps([`open ${engine}`, refused, 'close'])];
  const dmaListed = await commandTranscript(dma, ['g', '!dma', 'q']);
  const [, adapter = ''] = /^Adapter: ([0-9a-f]{16})/m.exec(dmaListed) ?? [];
  return {
    'walk-through steps': `\`\`\`text\n${mailboxSteps.join('\n')}\n\`\`\``,
    'walk-through tag': await commandTranscript(kd, [
      'gs',
      'gs',
      '!poolused 2 Mail',
      'gs',
      '!poolused 2 Mail',
      'gs',
      '!poolused 2 Mail',
      'q',
    ]),
    'walk-through path': await commandTranscript(kd, [
      'bp leaky_mailbox!MailboxAllocate "k; g"',
      'g',
      '!poolfind Mail',
      'q',
    ]),
    'walk-through allocation': await commandTranscript(kd, [
      'g',
      '!analyze -v',
      '!verifier 3 leaky-mailbox.sys',
      `ln ${caller}`,
      `!verifier 80 ${leak}`,
      'q',
    ]),
    'walk-through verify': await commandTranscript([mailbox, ...doSteps(twoRefused)]),
    'walk-through dma': await commandTranscript(dma, ['g', '.bugcheck', '!dma', `!dma ${adapter} 5`, 'q']),
    'walk-through clean': await commandTranscript([
      mailbox.replaceAll('leaky', 'clean'),
      ...doSteps(twoRefused.map((step) => step.replace('Leaky', 'Clean'))),
    ]),
  };
}

/** Of the first block that two refused messages leave. */
function addressOfLeak(): string {
  const bytes = new Uint8Array(readFileSync(mailbox));
  const { leaks } = verify({
    drivers: [{ name: basename(mailbox), path: mailbox, bytes }],
    steps: twoRefused.map(parseStep),
  });
  return leaks[0]?.address ?? '';
}
