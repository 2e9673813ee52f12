/** One section as the image's header has it. */
export interface SectionRange {
  readonly rva: number;
  readonly virtualSize: number;
}

/** Turns the section and offset that PDB records have into RVAs. */
export class SectionMap {
  readonly #sections: readonly SectionRange[];

  constructor(sections: readonly SectionRange[]) {
    this.#sections = sections;
  }

  /** Undefined for absolute symbols and for places outside of the section. `section` counts from 1. */
  rva(section: number, offset: number): number | undefined {
    const range = this.#sections[section - 1];
    return range !== undefined && offset <= range.virtualSize ? range.rva + offset : undefined;
  }

  /** The section that an RVA lies in, from 1; 0 if none. */
  sectionAt(rva: number): number {
    return 1 + this.#sections.findIndex((range) => rva >= range.rva && rva - range.rva < range.virtualSize);
  }
}
