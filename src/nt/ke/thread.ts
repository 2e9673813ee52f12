import type { Va } from '../../base/va.ts';
import type { Holder } from '../mm/holder.ts';
import type { SavedContext } from './saved-context.ts';

export type ThreadState = 'running' | 'ready' | 'waiting' | 'idle' | 'terminated';

export interface Thread {
  /** Address of its KTHREAD: its identity. */
  readonly kthread: Va;
  /** Client ID. */
  readonly id: number;
  readonly process: Va;
  readonly isSystem: boolean;
  /** Whose call created it. */
  readonly creator: Holder;
  readonly stackBase: Va;
  readonly stackLimit: Va;
  readonly state: ThreadState;
  readonly context: SavedContext | undefined;
  /** Also of a thread that is ready to take an APC in the middle of its wait. */
  readonly wait: ThreadWait | undefined;
  /** KTHREAD.KernelApcDisable and SpecialApcDisable: zero or negative. */
  readonly kernelApcDisable: number;
  readonly specialApcDisable: number;
  /** 1 to 15 vary around `basePriority`; 16 to 31 (real time) stay. */
  readonly priority: number;
  readonly basePriority: number;
  /** What the routine that an idle thread was given last returned (RAX). */
  readonly result: number;
  readonly exitStatus: number;
  /** An idle thread was taken out of its rest to run APCs alone. */
  readonly isAwakeForApcs: boolean;
  /** What it was given to run meanwhile. */
  readonly next: { readonly routine: Va; readonly args: readonly (number | bigint)[] } | undefined;
}

export interface ThreadWait {
  readonly objects: readonly Va[];
  readonly waitAll: boolean;
  readonly dueTime: number | undefined;
  readonly alertable: boolean;
  readonly waitMode: number;
  /** Routine that waits, for stacks. */
  readonly routine: Va;
  /** Grows; those that waited longer are served first. */
  readonly order: number;
}

/** wdm.h: LOW_REALTIME_PRIORITY; from here on a priority is nobody's but the thread's own. */
export const lowRealtimePriority = 16;
/** wdm.h: HIGH_PRIORITY */
export const highPriority = 31;
/** Base priority of a thread of the System process, and of a program's. */
export const normalPriority = 8;
/** Of the system worker threads for DelayedWorkQueue, which also load and unload drivers. */
export const delayedWorkPriority = 12;
