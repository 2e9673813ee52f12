/**
 * What a bus master does with logical addresses. They are physical addresses; RAM and pages of devices that somebody
 * mapped answer.
 */
import { pageMask, pageSize } from '../../engine/memory/layout.ts';
import { firstPfn } from '../mm/frames.ts';
import type { Nt } from '../nt.ts';

export class DmaBus {
  private readonly nt: Nt;

  constructor(nt: Nt) {
    this.nt = nt;
  }

  /** Copies memory from the address on. False, with what lies before it copied, at the first address without memory. */
  read(address: bigint, into: Uint8Array): boolean {
    const { memory } = this.nt;
    return this.forParts(address, into.length, (frame, offset, done, bytes) => {
      const at = memory.frameOffset(frame) + offset;
      into.set(memory.u8.subarray(at, at + bytes), done);
    });
  }

  /** As {@link read}, to memory. Code that was translated of it is dropped. */
  write(address: bigint, bytes: Uint8Array): boolean {
    return this.forParts(address, bytes.length, (frame, offset, done, count) =>
      this.nt.memory.frameBytes(frame).set(bytes.subarray(done, done + count), offset),
    );
  }

  fill(address: bigint, bytes: number, value: number): boolean {
    return this.forParts(address, bytes, (frame, offset, _done, count) =>
      this.nt.memory.frameBytes(frame).fill(value, offset, offset + count),
    );
  }

  /** RAM itself, to be read, as long as nobody writes to it; undefined if not all of it is RAM. */
  view(address: bigint, bytes: number): Uint8Array | undefined {
    const { memory, addressSpace } = this.nt;
    const page = (at: bigint): number => Number(at / BigInt(pageSize));
    if (address < 0n || !addressSpace.frames.isRam(page(address))) return undefined;
    if (bytes > 0 && !addressSpace.frames.isRam(page(address + BigInt(bytes - 1)))) return undefined;
    const start = memory.frameOffset(page(address) - firstPfn) + Number(address % BigInt(pageSize));
    return memory.u8.subarray(start, start + bytes);
  }

  private forParts(
    address: bigint,
    bytes: number,
    part: (frame: number, offset: number, done: number, bytes: number) => void,
  ): boolean {
    if (address < 0n || address + BigInt(bytes) > 1n << 52n) return false;
    const start = Number(address);
    for (let done = 0; done < bytes; ) {
      const at = start + done;
      const offset = at & pageMask;
      const frame = this.nt.addressSpace.frames.frameOf(Math.floor(at / pageSize));
      if (frame === undefined) return false;
      const count = Math.min(bytes - done, pageSize - offset);
      part(frame, offset, done, count);
      done += count;
    }
    return true;
  }
}
