/** How addresses are written, and what they are called. */
import { formatVa, type Va, vaToU64 } from '../base/va.ts';
import { moduleName, type SymbolTable } from './symbols.ts';

/** ``fffff805`12340000``: built-in commands. */
export function builtinAddress(va: Va): string {
  return Number.isNaN(va) ? '????????`????????' : formatVa(va);
}

/** `fffff80512340000`: extensions. */
export function extensionAddress(va: Va): string {
  return Number.isNaN(va) ? '????????????????' : vaToU64(va).toString(16).padStart(16, '0');
}

/** 64 bits as two groups of eight digits. */
export function quadword(value: bigint): string {
  const digits = BigInt.asUintN(64, value).toString(16).padStart(16, '0');
  return `${digits.slice(0, 8)}\`${digits.slice(8)}`;
}

/**
 * `toaster!ToasterIoctl+0x4c`, `nt!ExAllocatePool2`, `toaster+0x1000` where no name is near; undefined outside of images.
 * Import thunks have the name of the routine that they lead to.
 */
export function symbolAt(session: { readonly symbols: SymbolTable }, va: Va): string | undefined {
  if (Number.isNaN(va)) return undefined;
  const thunk = session.symbols.thunkAt(va);
  if (thunk !== undefined) {
    const { target, importName } = thunk;
    return target === undefined ? importName : `${target.module === 'hal.dll' ? 'hal' : 'nt'}!${target.name}`;
  }
  const code = session.symbols.functionAt(va);
  if (code !== undefined) return withOffset(`${moduleName(code.image)}!${code.name}`, va - code.va);
  const near = session.symbols.around(va);
  if (near === undefined) return undefined;
  const { image, below } = near;
  if (below === undefined) return withOffset(moduleName(image), va - image.base);
  return withOffset(`${moduleName(image)}!${below.name}`, va - below.va);
}

function withOffset(name: string, offset: number): string {
  if (offset === 0) return name;
  return offset < 0 ? `${name}-0x${(-offset).toString(16)}` : `${name}+0x${offset.toString(16)}`;
}
