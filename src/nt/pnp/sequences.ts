/**
 * What the PnP manager does to a device: sequences of IRP_MJ_PNP requests, each sent when the one before was answered
 * (WDK, "Understanding when remove IRPs are issued", "Starting a device", "Stopping a device to rebalance resources").
 */
import {
  checkDuplicate,
  enumerateChildren,
  queryBusInformation,
  queryBusRelations,
  queryIds,
  queryResourceRequirements,
  queryResources,
  removeMissing,
  startIfRaw,
  surpriseRemoveMissing,
} from './child-steps.ts';
import {
  cancelRemove,
  cancelRemoveChildren,
  cancelStop,
  cancelStopChildren,
  eject,
  queryEjectionRelations,
  queryRemovalRelations,
  queryRemove,
  queryRemoveChildren,
  queryStop,
  queryStopChildren,
  refuseIfOpen,
  removeBeforeEjection,
  removeChildren,
  removeDevice,
  startStoppedChildren,
  stopChildren,
  stopDevice,
  surpriseRemoval,
  surpriseRemoveChildren,
  tellQueryRemove,
  tellRemoveCancelled,
  tellRemoveComplete,
} from './remove-steps.ts';
import { type SequenceName, type SequenceStep, sequenceName } from './sequence-steps.ts';
import {
  filterResourceRequirements,
  queryCapabilities,
  queryState,
  queryStateAgain,
  startDevice,
} from './start-steps.ts';

const children = [queryBusRelations, surpriseRemoveMissing, removeMissing, enumerateChildren];
const stop = [queryStopChildren, queryStop, stopChildren, stopDevice];
const askToRemove = [tellQueryRemove, queryRemovalRelations, queryRemoveChildren, queryRemove, refuseIfOpen];

const sequences: Readonly<Record<SequenceName, readonly SequenceStep[]>> = {
  firstStart: [filterResourceRequirements, startDevice, queryCapabilities, queryState, ...children],
  start: [startDevice, queryCapabilities, queryState, startStoppedChildren, ...children],
  stop,
  cancelStop: [cancelStop, cancelStopChildren],
  stopAndCancel: [queryStopChildren, queryStop, cancelStop, cancelStopChildren],
  queryRemove: [...askToRemove, removeChildren, removeDevice, tellRemoveComplete],
  queryRemoveOnly: askToRemove,
  cancelRemove: [cancelRemove, cancelRemoveChildren, tellRemoveCancelled],
  queryRemoveAndCancel: [...askToRemove, cancelRemove, cancelRemoveChildren, tellRemoveCancelled],
  surpriseRemove: [surpriseRemoveChildren, surpriseRemoval, tellRemoveComplete],
  remove: [removeChildren, removeDevice],
  enumerate: [
    ...queryIds,
    queryCapabilities,
    checkDuplicate,
    queryBusInformation,
    queryResources,
    queryResourceRequirements,
    startIfRaw,
  ],
  queryState: [queryState],
  queryBusRelations: children,
  rebalance: [
    ...stop,
    filterResourceRequirements,
    startDevice,
    queryCapabilities,
    queryStateAgain,
    startStoppedChildren,
    ...children,
  ],
  eject: [queryEjectionRelations, ...askToRemove, removeChildren, removeBeforeEjection, eject, tellRemoveComplete],
  queryStopOnly: [queryStopChildren, queryStop],
  stopOnly: [stopChildren, stopDevice],
};

/** Undefined behind the last step. */
export function sequenceStep(number: number, index: number): SequenceStep | undefined {
  const name = sequenceName(number);
  return name === undefined ? undefined : sequences[name][index];
}
