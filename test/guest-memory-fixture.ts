/**
 * Guest memory with room to write in, and those parts of the kernel that need nothing but memory: pool, address space,
 * events, random numbers. Routines are called as the processor would: arguments in registers and on a guest stack.
 */
import { Stores } from '../src/base/store.ts';
import { type Va, vaAdd, vaFromU64 } from '../src/base/va.ts';
import { CpuState, Gpr } from '../src/engine/cpu/state.ts';
import { GuestMemory } from '../src/engine/memory/guest-memory.ts';
import { Access, pageSize } from '../src/engine/memory/layout.ts';
import { AddressMap } from '../src/nt/address-map.ts';
import { Call } from '../src/nt/declare/call.ts';
import type { Routine } from '../src/nt/declare/nt-routine.ts';
import type { Outcome } from '../src/nt/declare/outcome.ts';
import { NtEventSource } from '../src/nt/events.ts';
import { Pool } from '../src/nt/ex/pool.ts';
import { DebugControl } from '../src/nt/kd/debug-control.ts';
import { AddressSpace } from '../src/nt/mm/address-space.ts';
import type { Nt } from '../src/nt/nt.ts';
import { PoolQuota } from '../src/nt/ps/pool-quota.ts';
import { Random } from '../src/nt/random.ts';
import { setString } from '../src/nt/rtl/counted-strings.ts';
import { readAnsiZ, readUnicodeString, readWideZ, utf16OfText, writeWide } from '../src/nt/rtl/guest-text.ts';

type Parts = { -readonly [K in Exclude<keyof Nt, 'cpu'>]?: Nt[K] } & { cpu?: { readonly state: CpuState } };

/** Mapped pages for a test's own data; the page behind them is not mapped. */
const dataPages = 16;

export class GuestFixture {
  readonly nt: Nt;
  readonly memory: GuestMemory;
  readonly stack: Va;
  readonly dataEnd: Va;
  private nextData: Va;

  constructor({ seed = 1 } = {}) {
    this.memory = new GuestMemory({ ramBytes: 0x80_0000 });
    this.nextData = AddressMap.images.start;
    this.dataEnd = this.map(this.nextData, dataPages);
    this.stack = vaAdd(this.map(AddressMap.kernelStacks.start, 2), -0x800);
    this.nt = this.kernelParts(seed);
  }

  private kernelParts(seed: number): Nt {
    const stores = new Stores();
    const parts: Parts = { memory: this.memory, stores, events: new NtEventSource() };
    parts.cpu = { state: new CpuState(this.memory) };
    parts.random = new Random(stores.cell('random', seed));
    parts.addressSpace = new AddressSpace(parts as unknown as Nt);
    parts.pool = new Pool(parts as unknown as Nt);
    parts.debugControl = new DebugControl(parts as unknown as Nt);
    // Everything runs in one process, which is charged.
    const process = AddressMap.kernelHeap.start;
    Object.assign(parts, { scheduler: { currentThread: { process } }, processor: { requesterProcess: process } });
    parts.poolQuota = new PoolQuota(parts as unknown as Nt, undefined);
    return parts as unknown as Nt;
  }

  /** Maps pages at `va` and returns the address behind them. */
  map(va: Va, pages: number, flags = Access.Read | Access.Write): Va {
    for (let page = 0; page < pages; page++) {
      const frame = this.memory.allocateFrame();
      if (frame === undefined) throw new Error('the fixture is out of memory');
      this.memory.mapPage(vaAdd(va, page * pageSize), frame, flags);
      this.memory.fill(vaAdd(va, page * pageSize), pageSize, 0xcc);
    }
    return vaAdd(va, pages * pageSize);
  }

  /** Fresh bytes, filled with 0xCC, 16-byte aligned. */
  allocate(bytes: number): Va {
    const va = this.nextData;
    this.nextData = vaAdd(va, Math.ceil(bytes / 16) * 16);
    if (this.nextData > this.dataEnd) throw new Error('the fixture has no room left');
    return va;
  }

  bytes(content: Uint8Array | readonly number[]): Va {
    const va = this.allocate(content.length);
    this.memory.writeBytes(va, Uint8Array.from(content));
    return va;
  }

  /** A null-terminated string of bytes; characters up to U+00FF. */
  ansi(text: string): Va {
    return this.bytes([...`${text}\0`].map((character) => character.charCodeAt(0)));
  }

  wide(text: string): Va {
    return this.bytes(utf16OfText(`${text}\0`));
  }

  /** A UNICODE_STRING with room for `maximumLength` bytes. */
  unicodeString(text: string, maximumLength = text.length * 2): Va {
    const string = this.allocate(16);
    const buffer = this.allocate(maximumLength);
    writeWide(this.memory, buffer, text);
    setString(this.memory, string, text.length * 2, maximumLength, buffer);
    return string;
  }

  /** An ANSI_STRING with room for `maximumLength` bytes. */
  ansiString(text: string, maximumLength = text.length): Va {
    const string = this.allocate(16);
    const buffer = this.allocate(maximumLength);
    this.memory.writeBytes(
      buffer,
      Uint8Array.from(text, (character) => character.charCodeAt(0)),
    );
    setString(this.memory, string, text.length, maximumLength, buffer);
    return string;
  }

  textOf(string: Va): string {
    return readUnicodeString(this.memory, string);
  }

  ansiAt(va: Va): string {
    return readAnsiZ(this.memory, va);
  }

  wideAt(va: Va): string {
    return readWideZ(this.memory, va);
  }

  /** Calls a declared routine: arguments go through registers and stack, and are read as the declaration says. */
  call(name: string, routine: Routine, ...args: readonly (number | bigint | boolean)[]): Outcome {
    const { state } = this.nt.cpu;
    const slots = args.map((argument) => BigInt.asUintN(64, BigInt(argument)));
    for (const [index, register] of [Gpr.Rcx, Gpr.Rdx, Gpr.R8, Gpr.R9].entries()) {
      state.setGpr(register, slots[index] ?? 0xcccc_cccc_cccc_ccccn);
    }
    for (let index = 4; index < slots.length; index++) {
      this.memory.writeU64(vaAdd(this.stack, 8 + index * 8), slots[index] as bigint);
    }
    const call = new Call(this.nt, name, undefined, AddressMap.host.start, this.stack);
    const values: Record<string, unknown> = {};
    for (const [index, [parameter, type]] of Object.entries(routine.params).entries()) {
      values[parameter] = type.read(call, index);
    }
    return routine.body(this.nt, values as never, call);
  }
}

export function va(value: bigint): Va {
  return vaFromU64(value);
}
