/** The processor as the kernel sees it: exits, faults, host calls, code that changes, snapshots. */
import { describe, expect, test } from 'vitest';
import type { Va } from '../../src/base/va.ts';
import { StateOffset } from '../../src/engine/cpu/state.ts';
import {
  Access,
  cpuStateOffset,
  PageFlag,
  pageSize,
  pageTableHighIrqlOffset,
  pageTableLowIrqlOffset,
} from '../../src/engine/memory/layout.ts';
import { CpuMachine, codeVa, dataVa, hostVa, noHooks, stackBytes, stackVa } from './cpu-machine.ts';

const unmappedVa = (dataVa + 0x8_0000) as Va;

describe('faults', () => {
  test('a page fault in the middle of a block shows the state before the instruction, and resuming goes on', () => {
    const machine = new CpuMachine(`
      mov eax, 1
      add rax, 10
    access: add [rcx], rax
      mov edx, 5
      ret`);
    machine.set('rcx', unmappedVa);
    const exit = machine.run();
    expect(exit).toEqual({
      kind: 'fault',
      vector: 14,
      va: unmappedVa,
      access: Access.Write,
      rip: machine.at('access'),
    });
    expect(machine.cpu.state.rip).toBe(machine.at('access'));
    expect([machine.get('rax'), machine.get('rdx'), machine.cpu.retired]).toEqual([11n, 0n, 2]);
    machine.map(unmappedVa, 1, Access.Read | Access.Write);
    machine.memory.writeU64(unmappedVa, 100n);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.memory.readU64(unmappedVa), machine.get('rdx'), machine.cpu.retired]).toEqual([111n, 5n, 5]);
  });

  test('flags that are read after the faulting instruction survive the fault', () => {
    const machine = new CpuMachine(`
      cmp eax, 5
      mov rdx, [rcx]
      setb bl
      ret`);
    machine.set('rcx', unmappedVa);
    expect(machine.run().kind).toBe('fault');
    machine.map(unmappedVa, 1, Access.Read);
    expect(machine.run().kind).toBe('host');
    expect(machine.get('rbx')).toBe(1n);
  });

  test('an access across pages faults at the page that is missing, and changes nothing', () => {
    const machine = new CpuMachine('mov [rcx], rdx\nret');
    const end = (dataVa + 4 * pageSize) as Va;
    machine.memory.fill((end - 4) as Va, 4, 0xaa);
    machine.set('rcx', end - 4);
    machine.set('rdx', -1);
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: end, access: Access.Write });
    expect(machine.memory.readU32((end - 4) as Va)).toBe(0xaaaaaaaa);
  });

  test.each([
    ['a read-only page', 'mov [rcx], al', Access.Read, Access.Write],
    ['a page without access', 'mov al, [rcx]', 0, Access.Read],
  ])('%s', (_, line, flags, access) => {
    const machine = new CpuMachine(`${line}\nret`);
    machine.map(unmappedVa, 1, flags);
    machine.set('rcx', unmappedVa);
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: unmappedVa, access });
  });

  test('a non-canonical address is a general protection fault', () => {
    const machine = new CpuMachine('mov al, [rcx]\nret');
    machine.set('rcx', 0x0123_4567_89ab_cdefn);
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 13, rip: codeVa });
  });

  test.each([
    ['div ecx', 0],
    ['int3', 3],
    ['ud2', 6],
    ['int 29h', 0x29],
    ['int 2ch', 0x2c],
  ])('%s is vector %d', (line, vector) => {
    const machine = new CpuMachine(`nop\nthere: ${line}\nret`);
    expect(machine.run()).toMatchObject({ kind: 'fault', vector, rip: machine.at('there') });
    expect(machine.cpu.retired).toBe(1);
  });

  test('a jump to memory without execute access faults at the target', () => {
    const machine = new CpuMachine('jmp rcx');
    machine.set('rcx', dataVa);
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: dataVa, access: Access.Execute, rip: dataVa });
  });

  test('a call through a null pointer faults at zero with the return address pushed', () => {
    const machine = new CpuMachine('call rcx\nback: ret');
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: 0, access: Access.Execute, rip: 0 });
    expect(machine.memory.readVa(machine.cpu.state.gprVa(4))).toBe(machine.at('back'));
  });

  test('straight code that runs off its page faults where the page ends', () => {
    const machine = new CpuMachine('nop\nret');
    const end = (codeVa + pageSize) as Va;
    machine.memory.fill(codeVa, pageSize, 0x90);
    machine.memory.writeBytes((end - 3) as Va, Uint8Array.of(0x48, 0xb8, 0)); // the start of mov rax, imm64
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: end, access: Access.Execute, rip: end - 3 });
    expect(machine.cpu.retired).toBe(pageSize - 3);
  });

  test('rep movsb stops at a missing page with its registers there, and goes on', () => {
    const machine = new CpuMachine('rep movsb\nret');
    machine.memory.fill(dataVa, 3 * pageSize, 0x5a);
    machine.set('rsi', dataVa);
    machine.set('rdi', unmappedVa - 10 + pageSize);
    machine.set('rcx', 2 * pageSize);
    machine.map(unmappedVa, 1, Access.Read | Access.Write);
    const missing = (unmappedVa + pageSize) as Va;
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, va: missing, access: Access.Write, rip: codeVa });
    expect([machine.get('rcx'), machine.cpu.state.gprVa(6), machine.cpu.state.gprVa(7)]).toEqual([
      BigInt(2 * pageSize - 10),
      dataVa + 10,
      missing,
    ]);
    machine.map(missing, 2, Access.Read | Access.Write);
    expect(machine.run().kind).toBe('host');
    expect(machine.get('rcx')).toBe(0n);
    expect(machine.memory.readBytes(missing, 2 * pageSize - 10).every((byte) => byte === 0x5a)).toBe(true);
  });
});

describe('string instructions', () => {
  test('a destination just above the source repeats the bytes between', () => {
    const machine = new CpuMachine('rep movsb\nret');
    machine.memory.writeBytes(dataVa, Uint8Array.of(1, 2, 3));
    machine.set('rsi', dataVa);
    machine.set('rdi', dataVa + 3);
    machine.set('rcx', 5000);
    expect(machine.run().kind).toBe('host');
    expect(machine.memory.readBytes(dataVa, 5003).every((byte, index) => byte === (index % 3) + 1)).toBe(true);
  });

  test.each(['stosb', 'stosw', 'stosd', 'stosq'])('rep %s fills across pages at any alignment', (name) => {
    const bytes = { stosb: 1, stosw: 2, stosd: 4, stosq: 8 }[name] ?? 1;
    const machine = new CpuMachine(`rep ${name}\nret`);
    machine.set('rdi', dataVa + 4093);
    machine.set('rax', 0x0807_0605_0403_0201n);
    machine.set('rcx', 600);
    expect(machine.run().kind).toBe('host');
    const stored = machine.memory.readBytes((dataVa + 4093) as Va, 600 * bytes);
    expect(stored.every((byte, index) => byte === (index % bytes) + 1)).toBe(true);
    expect(machine.memory.readU8((dataVa + 4093 + 600 * bytes) as Va)).toBe(0);
  });
});

describe('host calls', () => {
  test('a hook that returns is seen by the caller, nested or tail-called', () => {
    const seen: number[] = [];
    const machine: CpuMachine = new CpuMachine(
      `
      mov rax, [rdi]
      call rax
      add eax, 1
      call inner
      ret
    inner: add ecx, 1
      jmp qword ptr [rdi]`,
      {
        hooks: {
          ...noHooks,
          hostCall: () => {
            const { state } = machine.cpu;
            if (state.rip === hostVa) return false;
            seen.push(machine.cpu.retired);
            const stack = state.gprVa(4);
            state.rip = machine.memory.readVa(stack);
            state.setGprVa(4, (stack + 8) as Va);
            state.setGpr(0, state.gpr(0) === 0n ? 100n : state.gpr(1) * 1000n);
            return true;
          },
        },
      },
    );
    machine.set('rdi', dataVa);
    machine.memory.writeVa(dataVa, (hostVa + 16) as Va);
    machine.set('rcx', 4);
    // The first call finds the address of the function in RAX.
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.get('rax'), seen]).toEqual([5000n, [2, 6]]);
    expect(machine.cpu.retired).toBe(7);
  });

  test('leaving in a nested call and going on later loses nothing', () => {
    let waits = true;
    const machine: CpuMachine = new CpuMachine(
      `
      mov ebx, 7
      call outer
      add eax, ebx
      ret
    outer: push rbx
      mov ebx, 1000
      mov rcx, [rdi]
      call rcx
      add eax, ebx
      pop rbx
      ret`,
      {
        hooks: {
          ...noHooks,
          hostCall: () => {
            const { state } = machine.cpu;
            if (state.rip === hostVa || waits) return false;
            return true;
          },
        },
      },
    );
    machine.set('rdi', dataVa);
    machine.memory.writeVa(dataVa, (hostVa + 16) as Va);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.cpu.state.rip).toBe(hostVa + 16);
    waits = false;
    const { state } = machine.cpu;
    const stack = state.gprVa(4);
    state.rip = machine.memory.readVa(stack);
    state.setGprVa(4, (stack + 8) as Va);
    state.setGpr(0, 50n);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.get('rax'), machine.get('rbx'), state.rip]).toEqual([1057n, 7n, hostVa]);
  });

  test('instructions for the host are named, run, and may be refused', () => {
    const names: string[] = [];
    const machine: CpuMachine = new CpuMachine('rdtsc\nmov cr8, rcx\nmov rdx, cr8\ncpuid\nret', {
      hooks: {
        ...noHooks,
        writeCr8: (value) => {
          names.push(`cr8=${value}`);
          return true;
        },
        instruction: (name, rip, next) => {
          names.push(`${name} ${rip - codeVa} ${next - codeVa} ${machine.cpu.retired}`);
          if (name === 'cpuid') return 'unsupported';
          machine.cpu.state.setGpr(0, 77n);
          return true;
        },
      },
    });
    machine.set('rcx', 2);
    expect(machine.run()).toMatchObject({ kind: 'unsupported', text: 'cpuid' });
    expect(names).toEqual(['rdtsc 0 2 1', 'cr8=2', 'cpuid 10 12 4']);
    expect([machine.get('rax'), machine.cpu.retired]).toEqual([77n, 3]);
  });

  test('an instruction that the engine lacks is reported when it is reached', () => {
    const machine = new CpuMachine('test ecx, ecx\nje fine\nlack: db 0d9h, 0e8h\nfine: ret');
    expect(machine.run()).toEqual({ kind: 'host' });
    machine.cpu.state.rip = codeVa;
    machine.set('rcx', 1);
    expect(machine.run()).toEqual({ kind: 'unsupported', rip: machine.at('lack'), text: 'fld1' });
  });
});

describe('nesting', () => {
  const sum = `
      mov ecx, 3000
      call sum
      ret
    sum: test ecx, ecx
      je zero
      push rcx
      dec ecx
      call sum
      pop rcx
      add eax, ecx
      ret
    zero: xor eax, eax
      ret`;

  test('recursion deeper than the engine nests', () => {
    const machine = new CpuMachine(sum);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.get('rax')).toBe(BigInt((3000 * 3001) / 2));
  });

  test('a return address that was changed is where control goes', () => {
    const machine = new CpuMachine(`
      call target
      mov eax, 1
      ret
    target: lea rcx, [other]
      mov [rsp], rcx
      ret
    other: mov eax, 2
      ret`);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.get('rax')).toBe(2n);
  });

  test('a stack that runs into an unmapped page faults with the call not done', () => {
    const machine = new CpuMachine('again: call again');
    const exit = machine.run();
    expect(exit).toMatchObject({ kind: 'fault', vector: 14, va: stackVa - 8, access: Access.Write, rip: codeVa });
    expect(machine.cpu.state.gprVa(4)).toBe(stackVa);
    expect(machine.cpu.retired).toBe((stackBytes - 0x108) / 8);
  });
});

describe('code that changes', () => {
  test('a write to translated code is seen by the next execution, and by the running one', () => {
    const machine = new CpuMachine(`
      call get
      mov [rdi], eax
      lea rdx, [get]
      mov byte ptr [rdx+1], 9
      call get
      lea rdx, [after]
      mov byte ptr [rdx+1], 3
    after: mov ecx, 2
      ret
    get: mov eax, 5
      ret`);
    machine.set('rdi', dataVa);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.memory.readU32(dataVa), machine.get('rax'), machine.get('rcx')]).toEqual([5, 9n, 3n]);
    expect(machine.cpu.retired).toBe(13);
  });

  test('a write of the host to translated code', () => {
    const machine = new CpuMachine('mov eax, 5\nret');
    const start = machine.memory.snapshot();
    machine.run();
    machine.memory.writeU8((codeVa + 1) as Va, 6);
    machine.cpu.state.rip = codeVa;
    machine.cpu.state.setGprVa(4, (machine.cpu.state.gprVa(4) - 8) as Va);
    machine.run();
    expect(machine.get('rax')).toBe(6n);
    machine.memory.restore(start);
    machine.run();
    expect(machine.get('rax')).toBe(5n);
  });

  test('a page that is unmapped or loses execute access is fetched no more', () => {
    const machine = new CpuMachine('mov eax, 5\nret');
    expect(machine.run().kind).toBe('host');
    machine.memory.protectPage(codeVa, Access.Read);
    machine.cpu.state.rip = codeVa;
    expect(machine.run()).toMatchObject({ kind: 'fault', vector: 14, access: Access.Execute, rip: codeVa });
  });

  test('translations live on over a restore that does not concern them', () => {
    const machine = new CpuMachine('mov [rdi], eax\nret');
    machine.set('rdi', dataVa);
    const start = machine.memory.snapshot();
    for (let life = 0; life < 5; life++) {
      machine.memory.restore(start);
      machine.set('rax', life);
      expect(machine.run().kind).toBe('host');
      expect(machine.memory.readU32(dataVa)).toBe(life);
    }
    expect(machine.cpu.moduleCount).toBe(1);
  });
});

describe('flags', () => {
  test('code that reads flags across a call is noticed', () => {
    const source = `
      call compare
      setb al
      ret
    compare: cmp ecx, 5
      ret`;
    const quick = new CpuMachine(source);
    quick.run();
    expect(quick.cpu.needsExactFlags).toBe(true);
    const exact = new CpuMachine(source, { cpu: { flagsLiveAtExit: true } });
    exact.run();
    expect([exact.get('rax'), exact.cpu.needsExactFlags]).toEqual([1n, false]);
  });
});

describe('data beside code', () => {
  test('writes to other lines of a page with code keep the translation, and snapshots see them', () => {
    const machine = new CpuMachine(`
      mov ecx, 1000
    again: add dword ptr [rdi], 1
      mov [rdi+8], rcx
      dec ecx
      jne again
      ret`);
    const beside = (codeVa + 0x800) as Va;
    machine.set('rdi', beside);
    const start = machine.memory.snapshot();
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.memory.readU32(beside), machine.cpu.moduleCount]).toEqual([1000, 1]);
    machine.memory.restore(start);
    expect(machine.memory.readU32(beside)).toBe(0);
    expect(machine.run()).toEqual({ kind: 'host' });
    expect(machine.memory.readU32(beside)).toBe(1000);
  });

  test('a string instruction that runs from data into code', () => {
    const machine = new CpuMachine(`
      call first
      mov r8d, eax
      mov al, 90h
      rep stosb
      call first
      ret
    here: db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
      db 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch, 0cch
    first: mov eax, 5
      inc eax
      ret`);
    machine.set('rdi', machine.at('here'));
    machine.set('rcx', machine.at('first') + 5 - machine.at('here'));
    expect(machine.run()).toEqual({ kind: 'host' });
    expect([machine.get('r8'), machine.get('rax')]).toEqual([6n, 0x91n]);
  });
});

test('pageable code runs below DISPATCH_LEVEL only', () => {
  const machine: CpuMachine = new CpuMachine('mov cr8, rcx\nafter: mov eax, 1\nret', {
    hooks: {
      ...noHooks,
      writeCr8: (value) => {
        const table = value >= 2 ? pageTableHighIrqlOffset : pageTableLowIrqlOffset;
        machine.memory.view.setInt32(cpuStateOffset + StateOffset.PageTable, table, true);
        return true;
      },
    },
  });
  machine.memory.trimsPageable = true;
  machine.memory.protectPage(codeVa, Access.Read | Access.Execute | PageFlag.Pageable);
  const start = machine.memory.snapshot();
  expect(machine.run()).toEqual({ kind: 'host' });
  machine.memory.restore(start);
  machine.set('rcx', 2);
  const fault = {
    kind: 'fault',
    vector: 14,
    va: machine.at('after'),
    access: Access.Execute,
    rip: machine.at('after'),
  };
  expect(machine.run()).toEqual(fault);
  expect([machine.get('rax'), machine.cpu.retired]).toEqual([0n, 1]);
  machine.cpu.state.rip = codeVa;
  expect(machine.run()).toMatchObject({ kind: 'fault', va: codeVa, rip: codeVa });
});
