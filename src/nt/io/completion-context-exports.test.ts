import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';
import { makeDevice } from '../../../test/test-device.ts';
import { vaToU64 } from '../../base/va.ts';
import { tagText } from '../declare/parameter-types.ts';
import { tagOf } from '../ex/pool.ts';

/** A dispatch routine that completes with STATUS_SUCCESS, and a sender with a completion routine. */
const source = `
  completes: enter
    mov dword ptr [rdx+30h], 0
    call IofCompleteRequest(rdx, 0)
    xor eax, eax
    leave
  completed: enter
    mov eax, r8d
    log rax
    mov rbx, device
    mov rbx, [rbx]
    log 1
    mov eax, 0xc0000016
    leave
  sets: enter
    mov rax, device
    mov rcx, [rax]
    mov rax, irp
    mov rdx, [rax]
    call IoSetCompletionRoutineEx(rcx, rdx, completed, 77, 1, 1, 1)
    log rax
    leave
  sends: enter
    mov rax, device
    mov rcx, [rax]
    mov rax, irp
    mov rdx, [rax]
    call IofCallDriver(rcx, rdx)
    leave`;

function go(code: GuestCode, label: string): void {
  code.start(label);
  code.run();
}

function setUp() {
  const code = new GuestCode(source, ['device', 'irp']);
  const { device } = makeDevice(code, { 0: 'completes' });
  const { nt } = code;
  const { memory } = nt;
  // A packet of the test's own, with one location.
  const irp = nt.pool.allocateKernel(0x200, 'Irp ');
  nt.io.irps.initialise(irp, 0xd0 + 0x48, 1);
  memory.writeU64(code.at('device'), vaToU64(device));
  memory.writeU64(code.at('irp'), vaToU64(irp));
  const contexts = () => [...nt.pool.driverBlocks()].filter(({ family }) => family === 'completion-context');
  return { code, nt, device, contexts };
}

describe('IoSetCompletionRoutineEx', () => {
  it('calls the routine with its context, keeps the device meanwhile, and then frees what it allocated', () => {
    const { code, nt, device, contexts } = setUp();
    const before = nt.objects.get(device)?.pointerCount;
    go(code, 'sets');
    expect(contexts()).toMatchObject([{ bytes: 0x18, tag: tagOf('IoUs') }]);
    go(code, 'sends');
    expect(code.logged).toEqual([0, 77, 1]);
    expect(contexts()).toEqual([]);
    expect(nt.objects.get(device)?.pointerCount).toBe(before);
  });

  it('leaves its context where the IRP is never sent, and one more for each time it is set', () => {
    const { code, contexts } = setUp();
    go(code, 'sets');
    go(code, 'sets');
    expect(contexts().map(({ tag }) => tagText(tag))).toEqual(['IoUs', 'IoUs']);
    go(code, 'sends');
    expect(contexts()).toHaveLength(1);
  });

  it('answers STATUS_INSUFFICIENT_RESOURCES when memory is short', () => {
    const { code, nt, contexts } = setUp();
    nt.pool.policies.push(() => false);
    go(code, 'sets');
    expect(code.logged).toEqual([0xc000_009a]);
    expect(contexts()).toEqual([]);
  });
});
