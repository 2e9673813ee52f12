import { PoolproofError } from '../../base/errors.ts';
import type { NamedAddress, SourceLine, SymbolFrame, SymbolSource } from './symbol-source.ts';

/** A source that can tell the line of an address that no function of it covers. */
interface LineSource extends SymbolSource {
  lineAt?(rva: number): SourceLine | undefined;
}

/**
 * Answers from the better source where it has an answer, and from the other elsewhere. A part of the better one that
 * turns out to be damaged costs its symbols, not the run: it is reported once through `onDamage`.
 */
export class LayeredSymbols implements SymbolSource {
  readonly kind: SymbolSource['kind'];
  readonly #upper: LineSource;
  readonly #lower: SymbolSource;
  readonly #onDamage: (error: PoolproofError) => void;
  #symbols: readonly NamedAddress[] | undefined;

  constructor(upper: LineSource, lower: SymbolSource, onDamage: (error: PoolproofError) => void) {
    this.kind = upper.kind;
    this.#upper = upper;
    this.#lower = lower;
    this.#onDamage = onDamage;
  }

  framesAt(rva: number): readonly SymbolFrame[] {
    const frames = this.#guard(() => this.#upper.framesAt(rva), []);
    if (frames.length > 0) return frames;
    const lower = this.#lower.framesAt(rva);
    const source = lower.length === 1 ? this.#guard(() => this.#upper.lineAt?.(rva), undefined) : undefined;
    return lower.map((frame) => ({
      ...frame,
      function: this.#nameOf(frame),
      ...(source !== undefined && { source }),
    }));
  }

  /** The better source's name for a function that the other one found: code of it that only unwind data tells of. */
  #nameOf({ function: name, functionRva }: SymbolFrame): string {
    const known = this.#guard(() => this.#upper.framesAt(functionRva), []).at(-1);
    return known?.functionRva === functionRva ? known.function : name;
  }

  find(name: string): NamedAddress | undefined {
    return this.#guard(() => this.#upper.find(name), undefined) ?? this.#lower.find(name);
  }

  symbols(): readonly NamedAddress[] {
    this.#symbols ??= this.#merge();
    return this.#symbols;
  }

  #merge(): readonly NamedAddress[] {
    const upper = this.#guard(() => this.#upper.symbols(), []);
    const known = new Set(upper.map(({ rva }) => rva));
    const added = this.#lower.symbols().filter(({ rva, kind }) => {
      if (known.has(rva)) return false;
      return kind === 'data' || this.#guard(() => this.#upper.framesAt(rva), []).length === 0;
    });
    return [...upper, ...added].sort((a, b) => a.rva - b.rva);
  }

  #guard<T>(read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof PoolproofError)) throw error;
      this.#onDamage(error);
      return otherwise;
    }
  }
}
