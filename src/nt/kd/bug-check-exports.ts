/** KeBugCheck and KeBugCheckEx, called by a driver: the life ends there. */
import { BugCheck } from '../declare/bug-check.ts';
import { ntExports, ntRoutine } from '../declare/nt-routine.ts';
import { ULONG, ULONG64 } from '../declare/parameter-types.ts';
import type { KernelImage } from '../mm/kernel-image.ts';

function summary(image: KernelImage | undefined): string {
  return `${image?.fileName ?? 'a routine of the kernel'} asked for this bug check`;
}

export const kdBugCheck = ntExports('ntoskrnl.exe', {
  KeBugCheck: ntRoutine({
    doc: 'ntddk.h; nf-ntddk-kebugcheck',
    irql: ['PASSIVE', 'HIGH'],
    params: { BugCheckCode: ULONG },
    returns: 'VOID',
    body: (_nt, { BugCheckCode }, call) => {
      throw new BugCheck(BugCheckCode, [0, 0, 0, 0], summary(call.image));
    },
  }),
  KeBugCheckEx: ntRoutine({
    doc: 'wdm.h; nf-wdm-kebugcheckex',
    irql: ['PASSIVE', 'HIGH'],
    params: {
      BugCheckCode: ULONG,
      BugCheckParameter1: ULONG64,
      BugCheckParameter2: ULONG64,
      BugCheckParameter3: ULONG64,
      BugCheckParameter4: ULONG64,
    },
    returns: 'VOID',
    body: (
      _nt,
      { BugCheckCode, BugCheckParameter1, BugCheckParameter2, BugCheckParameter3, BugCheckParameter4 },
      call,
    ) => {
      const parameters = [BugCheckParameter1, BugCheckParameter2, BugCheckParameter3, BugCheckParameter4] as const;
      throw new BugCheck(BugCheckCode, parameters, summary(call.image));
    },
  }),
});
