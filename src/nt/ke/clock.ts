import type { StoreCell } from '../../base/store.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { Access, PageFlag } from '../../engine/memory/layout.ts';
import { AddressMap } from '../address-map.ts';
import { debuggerAttached } from '../kd/breakpoints.ts';
import type { Nt } from '../nt.ts';
import { KUSER_SHARED_DATA as Shared } from '../structures/ke.ts';

/** One retired instruction lasts one nanosecond; this many make 100 ns, Windows' unit of time. */
const instructionsPer100ns = 100;
/** Loads of the shared page in one turn that cost nothing; who loads more polls the time. */
const freeLoads = 1000;
/** What each further load lasts: one microsecond. */
const loadLasts100ns = 10;
/** 15.625 ms, what KeQueryTimeIncrement answers. */
export const timeIncrement100ns = 156_250;
/** System time at boot: 2025-01-01 00:00 UTC, in 100 ns since 1601. */
const bootSystemTime = 133_801_632_000_000_000n;
/** Windows 11 24H2 */
const windowsBuild = 26_100;

/** Virtual time: it passes with retired instructions and jumps ahead when every thread waits. */
export class Clock {
  private readonly nt: Nt;
  /** Time that was jumped over. */
  private readonly skipped100ns: StoreCell<number>;
  /** Loads of the shared page by the driver in this turn. */
  private readonly loads: StoreCell<number>;
  /** Interrupt time that the shared page shows. */
  private readonly shown: StoreCell<number>;

  constructor(nt: Nt) {
    this.nt = nt;
    // The machine has been up for ten seconds when the driver loads.
    this.skipped100ns = nt.stores.cell('ke/clock-skipped', 100_000_000);
    this.loads = nt.stores.cell('ke/clock-loads', 0);
    this.shown = nt.stores.cell('ke/clock-shown', 0);
  }

  /** Time since boot in 100 ns: KeQueryInterruptTime. */
  get interruptTime(): number {
    return this.skipped100ns.value + Math.floor(this.nt.cpu.retired / instructionsPer100ns);
  }

  /** 100 ns since 1601-01-01 UTC: KeQuerySystemTime. */
  get systemTime(): bigint {
    return bootSystemTime + BigInt(this.interruptTime);
  }

  /** The time-stamp counter: a tick each nanosecond. */
  get timeStamp(): bigint {
    return BigInt(this.interruptTime) * 100n;
  }

  get tickCount(): number {
    return Math.floor(this.interruptTime / timeIncrement100ns);
  }

  /** How many instructions are retired when it is so late, if no time is jumped over. */
  retiredAt(interruptTime: number): number {
    return (interruptTime - this.skipped100ns.value) * instructionsPer100ns;
  }

  /** Jumps ahead to a time that is due. */
  advanceTo(interruptTime: number): void {
    const ahead = interruptTime - this.interruptTime;
    if (ahead > 0) this.skip(ahead);
  }

  /** Lets time pass without instructions: KeStallExecutionProcessor. */
  skip(duration100ns: number): void {
    this.skipped100ns.value += duration100ns;
    this.updateSharedPage();
  }

  /** The clock interrupt: what compiled code reads inline is brought up to date. */
  tick(): void {
    this.loads.value = 0;
    this.updateSharedPage();
  }

  /**
   * The driver loads from the shared page. A loop that does nothing else until a time has come is not run through
   * instruction by instruction: its loads last longer, up to what is due next, which comes when the turn ends.
   */
  private loaded(): void {
    this.loads.value += 1;
    if (this.loads.value <= freeLoads) return;
    const { timers, scheduler, io } = this.nt;
    const next = Math.min(timers.nextDue, scheduler.nextWaitDue(), io.hardware.nextDue);
    // How many instructions were retired since is known only when translated code comes back.
    const time = this.shown.value + loadLasts100ns;
    if (time >= next) return;
    this.skipped100ns.value += loadLasts100ns;
    this.updateSharedPage(time);
  }

  boot(): void {
    const { memory } = this.nt;
    const frame = memory.allocateFrame();
    if (frame === undefined) return;
    const bytes = memory.frameBytes(frame);
    bytes.fill(0);
    memory.mapPage(AddressMap.sharedUserData, frame, Access.Read | Access.Write);
    memory.mapPage(AddressMap.userSharedData, frame, Access.Read | PageFlag.User);
    const page = AddressMap.sharedUserData;
    Shared.TickCountMultiplier.set(memory, page, 0x0fa0_0000);
    Shared.NtMajorVersion.set(memory, page, 10);
    Shared.NtMinorVersion.set(memory, page, 0);
    Shared.NtBuildNumber.set(memory, page, windowsBuild);
    Shared.NtProductType.set(memory, page, 1);
    Shared.ProductTypeIsValid.set(memory, page, 1);
    Shared.NativeProcessorArchitecture.set(memory, page, 9);
    Shared.KdDebuggerEnabled.set(memory, page, debuggerAttached);
    Shared.ActiveProcessorCount.set(memory, page, 1);
    Shared.Cookie.set(memory, page, this.nt.random.u32());
    for (const [index, character] of [...'C:\\Windows'].entries()) {
      memory.writeU16(vaAdd(Shared.NtSystemRoot.at(page), index * 2), character.charCodeAt(0));
    }
    this.updateSharedPage();
    memory.protectPage(page, Access.Read);
    memory.watched = { page, onLoad: () => this.loaded() };
  }

  get buildNumber(): number {
    return windowsBuild;
  }

  private updateSharedPage(interrupt = this.interruptTime): void {
    const { memory } = this.nt;
    const mapping = memory.mappingAt(AddressMap.sharedUserData);
    if (mapping === undefined) return;
    memory.frameBytes(mapping.frame);
    const offset = memory.frameOffset(mapping.frame);
    const write = (field: number, value: number): void => memory.view.setUint32(offset + field, value >>> 0, true);
    this.shown.value = interrupt;
    const system = bootSystemTime + BigInt(interrupt);
    write(Shared.InterruptTimeLow.offset, interrupt % 0x1_0000_0000);
    write(Shared.InterruptTimeHigh1.offset, Math.floor(interrupt / 0x1_0000_0000));
    write(Shared.InterruptTimeHigh2.offset, Math.floor(interrupt / 0x1_0000_0000));
    write(Shared.SystemTimeLow.offset, Number(system & 0xffff_ffffn));
    write(Shared.SystemTimeHigh1.offset, Number(system >> 32n));
    write(Shared.SystemTimeHigh2.offset, Number(system >> 32n));
    write(Shared.TickCountLow.offset, Math.floor(interrupt / timeIncrement100ns));
    write(Shared.TickCountHigh.offset, 0);
    write(Shared.TickCountHigh2.offset, 0);
  }
}

/** A LARGE_INTEGER timeout (negative relative, positive absolute system time) as absolute interrupt time. */
export function dueInterruptTime(nt: Nt, timeout: bigint): number {
  if (timeout <= 0n) return nt.clock.interruptTime + Number(-timeout);
  return nt.clock.interruptTime + Math.max(0, Number(timeout - nt.clock.systemTime));
}

/** As {@link dueInterruptTime}, of an optional pointer to the timeout; undefined (never) for NULL. */
export function dueTimeAt(nt: Nt, timeout: Va): number | undefined {
  return timeout === 0 ? undefined : dueInterruptTime(nt, BigInt.asIntN(64, nt.memory.readU64(timeout)));
}
