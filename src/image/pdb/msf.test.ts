import { describe, expect, it } from 'vitest';
import { MsfFile } from './msf.ts';
import { msf } from './testing/pdb-bytes.ts';

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

describe('streams of a container', () => {
  it.each([512, 4096])('are put together from scattered blocks of %d bytes', (blockSize) => {
    const streams = [0, 1, blockSize, blockSize + 1, 5 * blockSize - 3, 3 * blockSize].map(pattern);
    const file = new MsfFile(msf(streams, blockSize), 'x.pdb');
    expect(file.streamCount).toBe(streams.length);
    streams.forEach((stream, i) => {
      expect(file.hasStream(i)).toBe(stream.length > 0);
      expect(file.stream(i, 'test').bytes).toEqual(stream);
    });
    expect(() => file.stream(streams.length, 'test')).toThrow('stream number 6, expected less than 6');
  });

  it('have a directory of several blocks, listed in more than one block', () => {
    // 20,000 one-block streams: 313 directory blocks, whose numbers need three blocks.
    const streams = Array.from({ length: 20000 }, (_, i) => pattern(4, i));
    const file = new MsfFile(msf(streams), 'x.pdb');
    expect(file.stream(19999, 'test').bytes).toEqual(pattern(4, 19999));
  });
});
