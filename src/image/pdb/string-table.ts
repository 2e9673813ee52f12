import type { StreamView } from './stream-view.ts';

const signature = 0xeffeeffe;

/** The `/names` stream: file names by offset. Source: microsoft-pdb, PDB/include/nmt.h. */
export class StringTable {
  readonly #texts: StreamView;

  constructor(stream: StreamView) {
    const found = stream.u32(0);
    if (found !== signature) throw stream.damaged(`signature 0x${found.toString(16)}`, '0xeffeeffe');
    this.#texts = stream.part(12, stream.u32(8));
  }

  at(offset: number): string {
    return this.#texts.text(offset);
  }
}
