import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repository } from '../../../test/end-to-end.ts';
import { CpuMachine, codeVa } from '../../../test/engine/cpu-machine.ts';
import { type Va, vaAdd } from '../../base/va.ts';
import { parsePe } from '../../image/pe/index.ts';
import { Nt } from '../../nt/nt.ts';
import { type FoundCode, findControlCodes } from './control-codes.ts';

const text = (found: readonly FoundCode[]): string =>
  found.map(({ code, confidence }) => `${code.toString(16)}${confidence === 'certain' ? '' : '?'}`).join(' ');

/** What each routine of test/control-codes/dispatch.c knows. */
const routines: Readonly<Record<string, string>> = {
  Sparse: '222000 2223c7 9c406405',
  Dense: '222040 222044 222048 222050 222054 222058',
  Adjacent: '222080 222081 222082 222083 222084 222085',
  Tree: '70000 7c0a4 222403 226410 22a81d 22e9f2 2d1400 80002004 9c402400 ffff0000',
  Shared: '2220c0 2220c4 2220c5 2220c8 2220d4 2220df',
  Chosen: '222100',
  Called: '222140 222146 22214b',
  Major: '222180',
  Table: '2221c0 2221c4 2221c8 2221cc 2221d0',
  Parts: '',
  None: '',
};

const builds = ['gcc-O0', 'gcc-Os', 'gcc-O2', 'clang-O0', 'clang-Os', 'clang-O2'];

describe.each(builds)('what %s makes of', (build) => {
  const name = `${build}.sys`;
  const pe = parsePe(new Uint8Array(readFileSync(join(repository, 'test/control-codes', name))), name);
  const nt = new Nt({ seed: 1, instructionLimit: 1, ramBytes: 0x200_0000 });
  const image = nt.images.load(pe, name);

  it.each(Object.entries(routines))('%s', (routine, codes) => {
    const rva = pe.exports.find((entry) => entry.name === routine)?.rva;
    expect(rva).toBeDefined();
    const found = findControlCodes(nt.memory, image, vaAdd(image.base, rva ?? 0));
    expect(text(found).replaceAll('?', '')).toBe(codes);
  });
});

function codesOf(source: string): string {
  const { memory } = new CpuMachine(`mov rax, [rdx+0b8h]\n${source}`);
  return text(findControlCodes(memory, { base: codeVa, sizeBytes: 0x1000 }, codeVa));
}

describe('code', () => {
  it('in a chain of subtractions', () => {
    const found = codesOf(`
            mov ecx, [rax+18h]
            sub ecx, 222000h
            je case
            sub ecx, 4
            je case
            sub ecx, 8
            je case
            dec ecx
            je case
            cmp ecx, 7
            jne default
      case: mov eax, 1
            ret
   default: xor eax, eax
            ret`);
    expect(found).toBe('222000 222004 22200c 22200d 222014');
  });

  it('through xor, rotation, sign extension and a slot of the stack', () => {
    const found = codesOf(`
            sub rsp, 28h
            mov eax, [rax+18h]
            mov [rsp+20h], eax
            xor eax, 9C402400h
            je done
            mov eax, [rsp+20h]
            ror eax, 2
            cmp eax, 88801h
            je done
            movsxd rax, dword ptr [rsp+20h]
            cmp rax, -1000h
            je done
      done: add rsp, 28h
            ret`);
    expect(found).toBe('222004 9c402400 fffff000');
  });

  it('that can not be where it is compared does not count', () => {
    const found = codesOf(`
            mov ecx, [rax+18h]
            cmp ecx, 222004h
            ja default
            cmp ecx, 222008h
            je default
            cmp ecx, 222000h
            je default
   default: ret`);
    expect(found).toBe('222000');
  });

  it('in a loop that changes it is not followed for ever', () => {
    const found = codesOf(`
            mov ecx, [rax+18h]
      next: cmp ecx, 222000h
            je done
            lea ecx, [rcx+rcx*2+1]
            jmp next
      done: ret`);
    expect(found).toBe('222000');
  });

  it('that has been lost says nothing', () => {
    const found = codesOf(`
            mov ecx, [rax+18h]
            imul ecx, [rdx+8]
            cmp ecx, 222000h
            je done
            mov ecx, [rax+10h]
            cmp ecx, 222004h
            je done
            cpuid
            cmp ecx, 222008h
      done: ret`);
    expect(found).toBe('');
  });

  it('of a routine outside of the module is not read', () => {
    const { memory } = new CpuMachine('ret');
    expect(findControlCodes(memory, { base: codeVa, sizeBytes: 0x1000 }, (codeVa + 0x1000) as Va)).toEqual([]);
  });
});
