/** wdm.h: how drivers connect interrupts. */
import { bytes, placed, pointer, struct, u8, u16, u32, u64 } from '../declare/struct.ts';

/** IO_CONNECT_INTERRUPT_PARAMETERS; the members of its three forms that lie at one place have one name. */
export const IO_CONNECT_INTERRUPT_PARAMETERS = struct(
  '_IO_CONNECT_INTERRUPT_PARAMETERS',
  {
    Version: placed(0, u32),
    PhysicalDeviceObject: placed(8, pointer),
    /** InterruptObject, and ConnectionContext of the message based form. */
    InterruptObject: placed(16, pointer),
    ServiceRoutine: placed(24, pointer),
    ServiceContext: placed(32, u64),
    SpinLock: placed(40, pointer),
    SynchronizeIrql: placed(48, u8),
    ShareVector: placed(50, u8),
    Vector: placed(52, u32),
    Irql: placed(56, u8),
    FallBackServiceRoutine: placed(56, pointer),
    InterruptMode: placed(60, u32),
    ProcessorEnableMask: placed(64, u64),
    Group: placed(72, u16),
  },
  80,
);

/** IO_CONNECT_INTERRUPT_PARAMETERS.Version */
export const ConnectVersion = { FullySpecified: 1, LineBased: 2, MessageBased: 3, FullySpecifiedGroup: 4 } as const;

export const IO_DISCONNECT_INTERRUPT_PARAMETERS = struct('_IO_DISCONNECT_INTERRUPT_PARAMETERS', {
  Version: placed(0, u32),
  ConnectionContext: placed(8, pointer),
});

export const IO_INTERRUPT_MESSAGE_INFO_ENTRY = struct('_IO_INTERRUPT_MESSAGE_INFO_ENTRY', {
  MessageAddress: placed(0, u64),
  TargetProcessorSet: placed(8, u64),
  InterruptObject: placed(16, pointer),
  MessageData: placed(24, u32),
  Vector: placed(28, u32),
  Irql: placed(32, u8),
  Mode: placed(36, u32),
  Polarity: placed(40, u32),
});

export const IO_INTERRUPT_MESSAGE_INFO = struct('_IO_INTERRUPT_MESSAGE_INFO', {
  UnifiedIrql: placed(0, u8),
  MessageCount: placed(4, u32),
  MessageInfo: placed(8, bytes(IO_INTERRUPT_MESSAGE_INFO_ENTRY.sizeBytes, 8)),
});

/** KINTERRUPT_MODE */
export const InterruptMode = { LevelSensitive: 0, Latched: 1 } as const;
