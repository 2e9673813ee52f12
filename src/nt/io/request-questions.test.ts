/** What drivers ask about a request: who made it, whether it is synchronous, which request is the thread's first. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KernelCaller } from '../../../test/kernel-caller.ts';
import { nullVa, type Va } from '../../base/va.ts';
import { FILE_OBJECT, FileFlag, IO_STACK_LOCATION, IRP, IrpFlag, MajorFunction } from '../structures/io.ts';

let kernel: KernelCaller;
let irp: Va;
let file: Va;

beforeEach(() => {
  kernel = new KernelCaller();
  const { nt } = kernel;
  irp = kernel.callVa('IoAllocateIrp', 1, 0);
  const location = nt.io.irps.nextLocation(irp);
  IRP.CurrentStackLocation.set(nt.memory, irp, location);
  file = nt.pool.allocateKernel(FILE_OBJECT.sizeBytes, 'Test');
  FILE_OBJECT.Flags.set(nt.memory, file, 0);
  IO_STACK_LOCATION.FileObject.set(nt.memory, location, file);
  IO_STACK_LOCATION.MajorFunction.set(nt.memory, location, MajorFunction.Read);
});

describe('IoIsOperationSynchronous', () => {
  const isSynchronous = (): number => kernel.call('IoIsOperationSynchronous', irp);

  it.each([
    { what: 'nothing', irpFlags: 0, fileFlags: 0, answer: 0 },
    { what: 'a synchronous file', irpFlags: 0, fileFlags: FileFlag.SynchronousIo, answer: 1 },
    { what: 'a synchronous service', irpFlags: IrpFlag.SynchronousApi, fileFlags: 0, answer: 1 },
    { what: 'paging of a synchronous file', irpFlags: IrpFlag.PagingIo, fileFlags: FileFlag.SynchronousIo, answer: 0 },
    { what: 'synchronous paging', irpFlags: IrpFlag.PagingIo | IrpFlag.SynchronousPagingIo, fileFlags: 0, answer: 1 },
    { what: 'a request with input', irpFlags: IrpFlag.InputOperation, fileFlags: 0, answer: 0 },
  ])('$what: $answer', ({ irpFlags, fileFlags, answer }) => {
    IRP.Flags.set(kernel.nt.memory, irp, irpFlags);
    FILE_OBJECT.Flags.set(kernel.nt.memory, file, fileFlags);
    expect(isSynchronous()).toBe(answer);
  });

  it.each([
    [MajorFunction.DeviceControl, 0x22_2000, 1],
    [MajorFunction.FileSystemControl, 0x9_0000, 1],
    [MajorFunction.DeviceControl, 0x22_2003, 0],
    [MajorFunction.Read, 0x22_2000, 0],
  ])('major function %i, control code %i: %i', (major, code, answer) => {
    const { memory, io } = kernel.nt;
    const location = io.irps.currentLocation(irp);
    IO_STACK_LOCATION.MajorFunction.set(memory, location, major);
    memory.writeU32(IO_STACK_LOCATION.Parameter2.at(location), code);
    expect(isSynchronous()).toBe(answer);
  });

  it('needs no file', () => {
    IO_STACK_LOCATION.FileObject.set(kernel.nt.memory, kernel.nt.io.irps.currentLocation(irp), nullVa);
    expect(isSynchronous()).toBe(0);
  });
});

describe('who requests', () => {
  it('is the process of the thread, or nobody', () => {
    const { nt } = kernel;
    expect(kernel.call('IoGetRequestorProcess', irp)).toBe(nullVa);
    expect(kernel.call('IoGetRequestorProcessId', irp)).toBe(0);
    const thread = nt.scheduler.threads.create(nt.processor.requesterProcess, false);
    IRP.Thread.set(nt.memory, irp, thread.kthread);
    expect(kernel.call('IoGetRequestorProcess', irp)).toBe(nt.processor.requesterProcess);
    expect(kernel.call('IoGetRequestorProcessId', irp)).toBe(nt.processor.processId(nt.processor.requesterProcess));
  });

  it('is no 32-bit process', () => {
    expect(kernel.call('IoIs32bitProcess', irp)).toBe(0);
    expect(kernel.call('IoIs32bitProcess', nullVa)).toBe(0);
  });
});

describe('the top level request', () => {
  it('is what the thread was given, until it is taken back', () => {
    expect(kernel.call('IoGetTopLevelIrp')).toBe(nullVa);
    kernel.call('IoSetTopLevelIrp', irp);
    expect(kernel.call('IoGetTopLevelIrp')).toBe(irp);
    // FSRTL_FSP_TOP_LEVEL_IRP is no address.
    kernel.call('IoSetTopLevelIrp', 1);
    expect(kernel.call('IoGetTopLevelIrp')).toBe(1);
    kernel.call('IoSetTopLevelIrp', nullVa);
    expect(kernel.call('IoGetTopLevelIrp')).toBe(nullVa);
  });
});

describe('IoUpdateShareAccess', () => {
  it('counts the file as it was marked when it was checked without an update', () => {
    const share = kernel.nt.pool.allocateKernel(0x20, 'Test');
    const { memory } = kernel.nt;
    kernel.call('IoSetShareAccess', 1, 3, file, share);
    expect(memory.readU32(share)).toBe(1);
    expect(kernel.call('IoCheckShareAccess', 1, 3, file, share, 0)).toBe(0);
    expect(memory.readU32(share)).toBe(1);
    kernel.call('IoUpdateShareAccess', file, share);
    expect(memory.readU32(share)).toBe(2);
    kernel.call('IoRemoveShareAccess', file, share);
    kernel.call('IoRemoveShareAccess', file, share);
    expect([...memory.readBytes(share, 0x1c)].every((byte) => byte === 0)).toBe(true);
  });
});

describe('IoAllocateIrpEx', () => {
  it('allocates as IoAllocateIrp does, and IoFreeIrp takes it', () => {
    const blocks = (): number => [...kernel.nt.pool.driverBlocks()].length;
    const before = blocks();
    const made = kernel.callVa('IoAllocateIrpEx', nullVa, 3, 0);
    expect(IRP.StackCount.get(kernel.nt.memory, made)).toBe(3);
    expect(blocks()).toBe(before + 1);
    kernel.call('IoFreeIrp', made);
    expect(blocks()).toBe(before);
  });
});

describe('IoGetRelatedDeviceObject', () => {
  it("is the top of the stack of the file's device", () => {
    const { nt } = kernel;
    const out = nt.pool.allocateKernel(0x10, 'Test');
    const { driverObject } = nt.io.drivers.create(kernel.image, 'caller');
    const make = (): Va => {
      expect(kernel.call('IoCreateDevice', driverObject, 0, nullVa, 0x22, 0, 0, out)).toBe(0);
      return nt.memory.readVa(out);
    };
    const [bottom, top] = [make(), make()];
    FILE_OBJECT.DeviceObject.set(nt.memory, file, bottom);
    expect(kernel.call('IoGetRelatedDeviceObject', file)).toBe(bottom);
    kernel.call('IoAttachDeviceToDeviceStack', top, bottom);
    expect(kernel.call('IoGetRelatedDeviceObject', file)).toBe(top);
  });
});
