/** Null-terminated strings as the kernel's CRT handles them, written once for bytes and for wide characters. */
import { type Va, vaAdd } from '../../base/va.ts';
import type { GuestMemory } from '../../engine/memory/guest-memory.ts';
import { byteLength, wideLength } from './guest-text.ts';

/** How a character stands in memory. */
export interface CharacterKind {
  readonly bytes: 1 | 2;
  read(memory: GuestMemory, va: Va): number;
  write(memory: GuestMemory, va: Va, character: number): void;
  length(memory: GuestMemory, va: Va, limit?: number): number;
}

export const narrowCharacters: CharacterKind = {
  bytes: 1,
  read: (memory, va) => memory.readU8(va),
  write: (memory, va, character) => memory.writeU8(va, character),
  length: byteLength,
};

export const wideCharacters: CharacterKind = {
  bytes: 2,
  read: (memory, va) => memory.readU16(va),
  write: (memory, va, character) => memory.writeU16(va, character),
  length: wideLength,
};

/** ASCII letters only: the kernel's CRT runs in the C locale. */
export function asciiLower(character: number): number {
  return character >= 0x41 && character <= 0x5a ? character + 0x20 : character;
}

export function asciiUpper(character: number): number {
  return character >= 0x61 && character <= 0x7a ? character - 0x20 : character;
}

const same = (character: number): number => character;

export class CStrings {
  private readonly memory: GuestMemory;
  private readonly kind: CharacterKind;

  constructor(memory: GuestMemory, kind: CharacterKind) {
    this.memory = memory;
    this.kind = kind;
  }

  length(string: Va, limit?: number): number {
    return this.kind.length(this.memory, string, limit);
  }

  /** -1, 0 or 1; at most `limit` characters, mapped by `fold` first. */
  compare(left: Va, right: Va, limit = Number.POSITIVE_INFINITY, fold: (character: number) => number = same): number {
    for (let index = 0; index < limit; index++) {
      const a = fold(this.at(left, index));
      const b = fold(this.at(right, index));
      if (a !== b) return a < b ? -1 : 1;
      if (a === 0) return 0;
    }
    return 0;
  }

  /** strcpy. */
  copy(destination: Va, source: Va): Va {
    this.memory.copy(destination, source, (this.length(source) + 1) * this.kind.bytes);
    return destination;
  }

  /** strncpy: cut without terminator, or filled up with zeros. */
  copyLimited(destination: Va, source: Va, count: number): Va {
    const length = this.length(source, count);
    const { bytes } = this.kind;
    this.memory.copy(destination, source, length * bytes);
    this.memory.fill(vaAdd(destination, length * bytes), (count - length) * bytes, 0);
    return destination;
  }

  /** strcat. */
  append(destination: Va, source: Va): Va {
    this.copy(this.position(destination, this.length(destination)), source);
    return destination;
  }

  /** strncat: at most `count` characters and always a terminator. */
  appendLimited(destination: Va, source: Va, count: number): Va {
    const end = this.position(destination, this.length(destination));
    const length = this.length(source, count);
    this.memory.copy(end, source, length * this.kind.bytes);
    this.kind.write(this.memory, this.position(end, length), 0);
    return destination;
  }

  /** strchr; the terminator counts as a character. */
  find(string: Va, character: number): Va | undefined {
    const length = this.length(string);
    for (let index = 0; index <= length; index++) {
      if (this.at(string, index) === character) return this.position(string, index);
    }
    return undefined;
  }

  /** strrchr; the terminator counts as a character. */
  findLast(string: Va, character: number): Va | undefined {
    for (let index = this.length(string); index >= 0; index--) {
      if (this.at(string, index) === character) return this.position(string, index);
    }
    return undefined;
  }

  /** strstr; an empty text is found at the start. */
  findText(string: Va, text: Va): Va | undefined {
    const wanted = this.length(text);
    const last = this.length(string) - wanted;
    for (let index = 0; index <= last; index++) {
      const here = this.position(string, index);
      if (this.compare(here, text, wanted) === 0) return here;
    }
    return undefined;
  }

  /** strspn: characters at the start that all occur in `set`. */
  span(string: Va, set: Va): number {
    const members = new Set(Array.from({ length: this.length(set) }, (_, index) => this.at(set, index)));
    let length = 0;
    while (members.has(this.at(string, length))) length++;
    return length;
  }

  /** _strupr, _strlwr: changes the string in place. */
  change(string: Va, map: (character: number) => number): Va {
    const length = this.length(string);
    for (let index = 0; index < length; index++) {
      const before = this.at(string, index);
      const after = map(before);
      if (after !== before) this.kind.write(this.memory, this.position(string, index), after);
    }
    return string;
  }

  /** strcpy_s, strcat_s, strncpy_s, strncat_s: false where the CRT's invalid parameter handler would be called. */
  putSecure(destination: Va, size: number, offset: number, source: Va, count: number): boolean {
    const isTruncating = count === 2 ** 64;
    const length = this.length(source, isTruncating ? size : Math.min(count, size));
    const kept = isTruncating ? Math.min(length, size - offset - 1) : length;
    if (offset + kept >= size) return false;
    const at = this.position(destination, offset);
    this.memory.copy(at, source, kept * this.kind.bytes);
    this.kind.write(this.memory, this.position(at, kept), 0);
    return true;
  }

  private at(string: Va, index: number): number {
    return this.kind.read(this.memory, this.position(string, index));
  }

  private position(string: Va, index: number): Va {
    return vaAdd(string, index * this.kind.bytes);
  }
}
