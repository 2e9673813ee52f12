import { expect, it } from 'vitest';
import { ProgressLine, progressText } from './progress-line.ts';

const progress = {
  at: 'step 3: ioctl 0x222040',
  virtualMs: 10_250,
  instructions: 123_456_789,
  liveBlocks: 64,
  liveBytes: 2048,
};

it('says where the life is, its time, its instructions, and what is allocated', () => {
  expect(progressText(progress)).toBe(
    'step 3: ioctl 0x222040  10.25 s virtual  123 M instructions  64 blocks, 2048 bytes',
  );
  expect(progressText({ ...progress, at: `\u001b[2J${'x'.repeat(100)}` })).toMatch(/^\\x1b\[2Jx+… {2}10\.25 s/);
});

it('is drawn after a second, ten times a second at most, and erased at the end', () => {
  let written = '';
  let [time, reads] = [5000, 0];
  const terminal = {
    write: (text: string): void => {
      written += text;
    },
    columns: 20,
  };
  const line = new ProgressLine(terminal, () => time);
  const read = () => {
    reads++;
    return progress;
  };
  for (; time < 6000; time++) line.show(read);
  expect([reads, written]).toEqual([0, '']);
  for (; time < 6500; time++) line.show(read);
  expect(reads).toBe(5);
  expect(written).toBe('\r\u001b[Kstep 3: ioctl 0x222'.repeat(5));
  line.end();
  line.end();
  expect(written).toBe(`${'\r\u001b[Kstep 3: ioctl 0x222'.repeat(5)}\r\u001b[K`);
});

it('that was never drawn is not erased', () => {
  new ProgressLine({ write: () => expect.fail('written'), columns: 80 }, () => 0).end();
});
