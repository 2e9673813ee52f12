/** wdm.h, ntddk.h: structures of the executive. */
import { bytes, i16, placed, pointer, struct, u16, u32 } from '../declare/struct.ts';
import { KEVENT } from './ke.ts';

export const ERESOURCE = struct(
  '_ERESOURCE',
  {
    ActiveCount: placed(0x18, i16),
    Flag: placed(0x1a, u16),
    OwnerThread: placed(0x30, pointer),
    ActiveEntries: placed(0x40, u32),
    ContentionCount: placed(0x44, u32),
    NumberOfSharedWaiters: placed(0x48, u32),
    NumberOfExclusiveWaiters: placed(0x4c, u32),
  },
  0x68,
);

/** What an EX_RUNDOWN_REF points to (bit 0 set) while somebody waits for the references to go: the executive's own. */
export const RUNDOWN_WAIT = struct('_EX_RUNDOWN_WAIT_BLOCK', {
  Count: placed(0x00, u32),
  Event: placed(0x08, bytes(KEVENT.sizeBytes, 8)),
});
