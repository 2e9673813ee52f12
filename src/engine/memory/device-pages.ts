/** Pages whose loads and stores are calls: registers and memory of devices. */

/**
 * What answers loads and stores of pages that are mapped with `PageFlag.Device`. An access that the guest makes comes as
 * naturally aligned ones of at most four bytes, in the order of their addresses.
 */
export interface DevicePages {
  load(frame: number, offset: number, bytes: DeviceBytes): number;
  store(frame: number, offset: number, bytes: DeviceBytes, value: number): void;
  /** What {@link load} would give, without its effects; undefined if that can't be told. */
  peek(frame: number, offset: number, bytes: DeviceBytes): number | undefined;
}

export type DeviceBytes = 1 | 2 | 4;

/** No device answers: ones are read. */
export const nobody: DevicePages = {
  load: (_frame, _offset, bytes) => ones(bytes),
  store: () => {},
  peek: () => undefined,
};

/** All bits set. */
export const ones = (bytes: DeviceBytes): number => (bytes === 4 ? 0xffff_ffff : bytes === 2 ? 0xffff : 0xff);

/** Fills `into` with what stands at `offset` of the frame. */
export function loadDevice(device: DevicePages, frame: number, offset: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const bytes = pieceAt(offset + done, into.length - done);
    let value = device.load(frame, offset + done, bytes);
    for (let index = 0; index < bytes; index++, value >>>= 8) into[done + index] = value & 0xff;
    done += bytes;
  }
}

export function storeDevice(device: DevicePages, frame: number, offset: number, from: Uint8Array): void {
  for (let done = 0; done < from.length; ) {
    const bytes = pieceAt(offset + done, from.length - done);
    let value = 0;
    for (let index = bytes - 1; index >= 0; index--) value = (value << 8) | (from[done + index] as number);
    device.store(frame, offset + done, bytes, value >>> 0);
    done += bytes;
  }
}

/** As {@link loadDevice} without effects; false if that is not possible. */
export function peekDevice(device: DevicePages, frame: number, offset: number, into: Uint8Array): boolean {
  for (let done = 0; done < into.length; ) {
    const bytes = pieceAt(offset + done, into.length - done);
    let value = device.peek(frame, offset + done, bytes);
    if (value === undefined) return false;
    for (let index = 0; index < bytes; index++, value >>>= 8) into[done + index] = value & 0xff;
    done += bytes;
  }
  return true;
}

function pieceAt(offset: number, left: number): DeviceBytes {
  if ((offset & 3) === 0 && left >= 4) return 4;
  return (offset & 1) === 0 && left >= 2 ? 2 : 1;
}
