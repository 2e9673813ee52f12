/** Every component of the kernel, one line each. Order gives the layout of the kernel's image, so append. */

import { cmCallbackCalls } from './cm/callback-calls.ts';
import { cmCallbacks } from './cm/callback-exports.ts';
import { cmKeyClosing } from './cm/close-key.ts';
import { cmKeyServices } from './cm/key-services.ts';
import { cmProgram } from './cm/program-registry.ts';
import { cmRegistry } from './cm/registry-exports.ts';
import type { KernelComponent } from './declare/nt-routine.ts';
import { etwProviders } from './etw/provider-exports.ts';
import { exCacheAwareRundown } from './ex/cache-aware-rundown-exports.ts';
import { exCallbackInternals, exCallbacks } from './ex/callback-exports.ts';
import { exFastMutexes } from './ex/fast-mutex-exports.ts';
import { exInterlockedLists } from './ex/interlocked-list-exports.ts';
import { exLookasideInternals, exLookasides } from './ex/lookaside-exports.ts';
import { exPool } from './ex/pool-exports.ts';
import { exPushLocks } from './ex/push-lock-exports.ts';
import { exResources, exRundown } from './ex/resource-exports.ts';
import { exSystemInformation } from './ex/system-information-exports.ts';
import { exTimerInternals, exTimers } from './ex/timer-exports.ts';
import { exWorkerInternals } from './ex/work-queue.ts';
import { fileSystemDriver } from './fs/file-system-driver.ts';
import { halBuses } from './hal/bus-exports.ts';
import { halDmaAdapterExports, halDmaAdapters, halDmaGaps, ioDmaAdapters } from './hal/dma-adapter-exports.ts';
import { halDmaChannels } from './hal/dma-channel-routines.ts';
import { halDmaCommonBuffers } from './hal/dma-common-buffers.ts';
import { halDmaLists } from './hal/dma-list-routines.ts';
import { halDmaTransfers } from './hal/dma-transfer-routines.ts';
import { halPorts } from './hal/port-exports.ts';
import { ioCancelSafeQueueInternals, ioCancelSafeQueues } from './io/cancel-safe-queue-exports.ts';
import { ioCompletionContextInternals, ioCompletionContexts } from './io/completion-context-exports.ts';
import { ioConfiguration } from './io/configuration-exports.ts';
import { ioDevices } from './io/device-exports.ts';
import { ioDeviceStacks } from './io/device-stack-exports.ts';
import { ioDeviceTimerInternals, ioDeviceTimers } from './io/device-timer-exports.ts';
import { ioDriverLoading } from './io/driver-loading.ts';
import { ioFileServices } from './io/file-services.ts';
import { ioHardErrors } from './io/hard-error-exports.ts';
import { ioInformationServices } from './io/information-services.ts';
import { ioInterruptInternals, ioInterrupts } from './io/interrupt-exports.ts';
import { ioIrpCompletion } from './io/irp-completion.ts';
import { ioIrpCreation, ioIrpCreationInternals } from './io/irp-creation-exports.ts';
import { ioIrpInternals, ioIrps } from './io/irp-exports.ts';
import { ioLibraryLoading } from './io/library-loading.ts';
import { ioReinitializations } from './io/reinitialization-exports.ts';
import { ioRemoveLocks } from './io/remove-lock-exports.ts';
import { ioShareAccess } from './io/share-access-exports.ts';
import { ioStartIo } from './io/start-io-exports.ts';
import { ioServiceInternals, ioSystemServices } from './io/system-services.ts';
import { ioWorkItemInternals, ioWorkItems } from './io/work-item-exports.ts';
import { kdBugCheck } from './kd/bug-check-exports.ts';
import { kdDebugPrint } from './kd/debug-print.ts';
import { kdPoolHitTag } from './kd/pool-hit-tag.ts';
import { keApcs } from './ke/apc-exports.ts';
import { keApcInternals } from './ke/apcs.ts';
import { keBroadcasts } from './ke/broadcast-exports.ts';
import { keBugCheckCallbacks } from './ke/bug-check-callback-exports.ts';
import { keEvents } from './ke/event-exports.ts';
import { keInterruptInternals } from './ke/interrupts.ts';
import { keIrql } from './ke/irql-exports.ts';
import { keMutexes } from './ke/mutex-exports.ts';
import { kePriorities } from './ke/priority-exports.ts';
import { keProcessors } from './ke/processor-exports.ts';
import { keQueues } from './ke/queue-exports.ts';
import { keSpinLocks } from './ke/spin-lock-exports.ts';
import { keStackCallouts } from './ke/stack-callout-exports.ts';
import { keThreadInternals } from './ke/thread-startup.ts';
import { keTime } from './ke/time-exports.ts';
import { keDpcs, keTimers } from './ke/timer-exports.ts';
import { keWaits } from './ke/wait-exports.ts';
import { mmAddresses } from './mm/address-exports.ts';
import { mmContiguousMemory } from './mm/contiguous-exports.ts';
import { mmDriverPaging } from './mm/driver-paging-exports.ts';
import { mmMappingAddresses } from './mm/mapping-addresses.ts';
import { ioMdls, mmMdls } from './mm/mdl-exports.ts';
import { mmPageAllocations } from './mm/page-allocation-exports.ts';
import { mmPhysicalMemory } from './mm/physical-exports.ts';
import { mmSections } from './mm/section-exports.ts';
import { mmSystemRoutines } from './mm/system-routines.ts';
import { obEventServices } from './ob/event-services.ts';
import { obFilterCallbacks } from './ob/filter-callback-exports.ts';
import { obNamespace } from './ob/namespace-exports.ts';
import { obObjects } from './ob/object-exports.ts';
import { pnpBusInterface } from './pnp/bus-interface.ts';
import { pnpDeviceActions } from './pnp/device-actions.ts';
import { pnpDevices } from './pnp/device-exports.ts';
import { pnpNotificationInternals, pnpNotifications } from './pnp/notification-exports.ts';
import { pnpRegistry } from './pnp/registry-exports.ts';
import { pnpRootBus } from './pnp/root-bus.ts';
import { poInternals, poPower } from './po/power-exports.ts';
import { poRegistrationInternals, poRegistrations } from './po/registration-exports.ts';
import { poSystemPower } from './po/system-power.ts';
import { psNotifying } from './ps/notifications.ts';
import { psNotifications } from './ps/notify-exports.ts';
import { psProcessLife } from './ps/process-life.ts';
import { psProcessNames } from './ps/process-name-exports.ts';
import { psThreadEnd } from './ps/thread-end.ts';
import { psInternals, psThreads } from './ps/thread-exports.ts';
import { rtlAcls } from './rtl/acl-exports.ts';
import { rtlAddressTexts } from './rtl/address-text-exports.ts';
import { rtlArithmetic } from './rtl/arithmetic.ts';
import { rtlBitmaps } from './rtl/bitmap-exports.ts';
import { crtStrings } from './rtl/c-string-exports.ts';
import { rtlCodePages } from './rtl/code-page-exports.ts';
import { exceptionDispatching } from './rtl/dispatch-exception.ts';
import { rtlExceptions } from './rtl/exception-exports.ts';
import { rtlGenericTables } from './rtl/generic-table-exports.ts';
import { rtlGuid } from './rtl/guid.ts';
import { rtlMemory } from './rtl/memory.ts';
import { rtlNames } from './rtl/name-exports.ts';
import { rtlNumberText } from './rtl/number-text.ts';
import { crtPrintf } from './rtl/printf.ts';
import { rtlProbes } from './rtl/probe.ts';
import { rtlSecurityDescriptors } from './rtl/security-descriptor-exports.ts';
import { rtlSids } from './rtl/sid-exports.ts';
import { rtlSpecificHandler } from './rtl/specific-handler.ts';
import { rtlSplayTrees } from './rtl/splay-exports.ts';
import { rtlStringConversion } from './rtl/string-conversion-exports.ts';
import { rtlStrings } from './rtl/string-exports.ts';
import { rtlTime } from './rtl/time.ts';
import { rtlUnwinding } from './rtl/unwind-stack.ts';
import { rtlUtf8 } from './rtl/utf8.ts';
import { rtlVersion } from './rtl/version.ts';

import { seDescriptors } from './se/descriptor-exports.ts';
import { seExportedData } from './se/exported-data.ts';
import { seLogonSessions } from './se/logon-session-exports.ts';
import { seSubjectContexts } from './se/subject-context-exports.ts';
import { seTokens } from './se/token-exports.ts';

export const kernelComponents: readonly KernelComponent[] = [
  rtlMemory,
  rtlStrings,
  rtlStringConversion,
  rtlCodePages,
  rtlNumberText,
  rtlGuid,
  rtlBitmaps,
  rtlTime,
  rtlVersion,
  rtlArithmetic,
  crtStrings,
  crtPrintf,
  kdDebugPrint,
  kdBugCheck,
  exceptionDispatching,
  rtlExceptions,
  rtlProbes,
  rtlSpecificHandler,
  rtlUnwinding,
  exPool,
  ioDriverLoading,
  ioDevices,
  ioIrps,
  ioIrpInternals,
  ioSystemServices,
  ioServiceInternals,
  keInterruptInternals,
  keThreadInternals,
  rtlUtf8,
  ioMdls,
  mmMdls,
  mmContiguousMemory,
  mmPageAllocations,
  mmMappingAddresses,
  mmPhysicalMemory,
  mmAddresses,
  keEvents,
  keMutexes,
  keWaits,
  keSpinLocks,
  keIrql,
  exFastMutexes,
  keTimers,
  keDpcs,
  keProcessors,
  keTime,
  mmDriverPaging,
  mmSystemRoutines,
  obObjects,
  psThreads,
  psInternals,
  ioCancelSafeQueues,
  ioCancelSafeQueueInternals,
  ioRemoveLocks,
  ioIrpCreation,
  ioIrpCreationInternals,
  ioWorkItems,
  ioWorkItemInternals,
  exWorkerInternals,
  exInterlockedLists,
  exResources,
  exRundown,
  ioStartIo,
  ioDeviceStacks,
  obEventServices,
  halPorts,
  halBuses,
  exLookasides,
  exLookasideInternals,
  cmKeyServices,
  cmRegistry,
  pnpDevices,
  pnpDeviceActions,
  pnpRootBus,
  poPower,
  poInternals,
  pnpRegistry,
  pnpNotifications,
  pnpNotificationInternals,
  pnpBusInterface,
  ioInterrupts,
  ioInterruptInternals,
  poRegistrations,
  poRegistrationInternals,
  poSystemPower,
  ioCompletionContexts,
  ioCompletionContextInternals,
  rtlSids,
  rtlAcls,
  rtlSecurityDescriptors,
  ioLibraryLoading,
  kePriorities,
  fileSystemDriver,
  ioFileServices,
  ioInformationServices,
  mmSections,
  exCallbacks,
  exCallbackInternals,
  psNotifications,
  obFilterCallbacks,
  keBugCheckCallbacks,
  etwProviders,
  ioShareAccess,
  obNamespace,
  exSystemInformation,
  exCacheAwareRundown,
  seExportedData,
  seLogonSessions,
  ioConfiguration,
  rtlGenericTables,
  rtlSplayTrees,
  rtlNames,
  rtlAddressTexts,
  seTokens,
  seSubjectContexts,
  seDescriptors,
  keApcs,
  keApcInternals,
  ioIrpCompletion,
  psThreadEnd,
  keQueues,
  keStackCallouts,
  keBroadcasts,
  exPushLocks,
  exTimerInternals,
  exTimers,
  ioReinitializations,
  ioDeviceTimers,
  ioDeviceTimerInternals,
  ioHardErrors,
  psNotifying,
  psProcessLife,
  cmCallbackCalls,
  cmCallbacks,
  cmKeyClosing,
  cmProgram,
  psProcessNames,
  ioDmaAdapters,
  halDmaAdapterExports,
  halDmaAdapters,
  halDmaCommonBuffers,
  halDmaChannels,
  halDmaTransfers,
  halDmaLists,
  halDmaGaps,
  kdPoolHitTag,
];
