/** Kernel-mode DLLs ("export drivers"): images that other drivers import from, with DllInitialize and DllUnload. */
import { nullVa } from '../../base/va.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import { ULONG } from '../declare/parameter-types.ts';
import type { KernelImage } from '../mm/kernel-image.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_INVALID_DEVICE_REQUEST, STATUS_SUCCESS } from '../ntstatus.ts';
import { announceDriver } from '../ps/process-life.ts';
import { UNICODE_STRING } from '../structures/strings.ts';
import { checkWorkerReturn, serviceKeyPath } from './driver-loading.ts';

function own(nt: Nt, image: KernelImage, name: string) {
  return nt.images.driverExport(image.fileName, { name, ordinal: undefined });
}

/** The image goes, with the checks that come with it; it has no driver object. */
function letGo(nt: Nt, image: KernelImage): void {
  nt.events.emit('driverUnloaded', { image, driverObject: nullVa });
  nt.io.drivers.letGo(image);
}

function initialise(nt: Nt, imageIndex: number): Outcome {
  const image = nt.images.byIndex(imageIndex);
  if (image === undefined) return STATUS_INVALID_DEVICE_REQUEST;
  nt.registry.addService(image.name, image.fileName);
  const routine = own(nt, image, 'DllInitialize');
  if (routine === undefined) return STATUS_SUCCESS;
  const path = nt.pool.allocateKernel(UNICODE_STRING.sizeBytes, 'IoRp');
  const buffer = nt.io.drivers.writeString(path, serviceKeyPath(image.name));
  return callGuest(routine, [path], 'initialised', [imageIndex, path, buffer, routine]);
}

export const ioLibraryLoading = ntInternals({
  /** Calls DllInitialize, if the image has one, as the loader does before a driver that imports from it starts. */
  IopInitializeLibrary: ntRoutine({
    doc: 'nf-wdm-dllinitialize: the image of a kernel-mode DLL is ready for its importers',
    irql: passiveOnly,
    params: { ImageIndex: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { ImageIndex }) => announceDriver(nt, ImageIndex) ?? initialise(nt, ImageIndex),
    resume: {
      announced: (nt, call) => initialise(nt, call.word(0)),
      initialised: (nt, call) => {
        checkWorkerReturn(nt, 'DllInitialize', call.va(3), nt.entries.routineVa('IopInitializeLibrary'));
        nt.pool.freeKernel(call.va(2));
        nt.pool.freeKernel(call.va(1));
        const image = nt.images.byIndex(call.word(0));
        if (!ntSuccess(call.status) && image !== undefined) {
          nt.images.discardInit(image);
          letGo(nt, image);
        }
        return call.status;
      },
    },
  }),
  /** Calls DllUnload; the image goes if it answers success. */
  IopUnloadLibrary: ntRoutine({
    doc: 'nf-wdm-dllunload: nobody imports from a kernel-mode DLL any more',
    irql: passiveOnly,
    params: { ImageIndex: ULONG },
    returns: 'NTSTATUS',
    body: (nt, { ImageIndex }) => {
      const image = nt.images.byIndex(ImageIndex);
      const routine = image && own(nt, image, 'DllUnload');
      if (image === undefined || routine === undefined) return STATUS_INVALID_DEVICE_REQUEST;
      nt.events.emit('driverUnloading', { image, driverObject: nullVa });
      return callGuest(routine, [], 'unloaded', [ImageIndex, routine]);
    },
    resume: {
      unloaded: (nt, call) => {
        checkWorkerReturn(nt, 'DllUnload', call.va(1), nt.entries.routineVa('IopUnloadLibrary'));
        const image = nt.images.byIndex(call.word(0));
        if (ntSuccess(call.status) && image !== undefined) letGo(nt, image);
        return call.status;
      },
    },
  }),
});

/** Whether the image is a kernel-mode DLL by what it has: no entry point, or DllInitialize. */
export function looksLikeLibrary({ pe }: Pick<KernelImage, 'pe'>): boolean {
  return pe?.entryPointRva === undefined || pe.exports.some(({ name }) => name === 'DllInitialize');
}
