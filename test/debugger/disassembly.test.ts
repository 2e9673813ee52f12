/** Code and names against LLVM's own tools, where these are installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vaAdd } from '../../src/base/va.ts';
import { behind, instructionAt } from '../../src/debugger/instructions.ts';
import { repository } from '../end-to-end.ts';
import { debug } from './transcript.ts';

const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;
const run = (tool: string, args: readonly string[]): string =>
  execFileSync(tool, args, { cwd: repository, encoding: 'utf8', maxBuffer: 1 << 26 });

const drivers = [
  'drivers/leaky-inventory/leaky-inventory.sys',
  'drivers/clean-beacon/clean-beacon.sys',
  'drivers/big/big.sys',
];

describe.skipIf(!has('llvm-objdump-16'))('bytes of instructions, as llvm-objdump takes them apart', () => {
  it.each(drivers)('%s', (path) => {
    const { session } = debug([path]);
    const [image] = session.symbols.modules();
    const base = Number(image?.pe?.preferredBaseU64 ?? 0n);
    const listing = run('llvm-objdump-16', ['-d', '--x86-asm-syntax=intel', '--section=.text', path]);
    const lines = [...listing.matchAll(/^\s*([0-9a-f]+):\s+((?:[0-9a-f]{2} )+)\s+(\S.*)?$/gm)];
    expect(lines.length).toBeGreaterThan(100);
    const differences: string[] = [];
    for (const [line, at = '', bytes = '', text = ''] of lines) {
      // Data among the code: both guess. LLVM writes a lock prefix as an instruction of its own.
      if (image === undefined || /unknown|bad|^lock$/.test(text)) continue;
      const code = instructionAt(session, vaAdd(image.base, Number.parseInt(at, 16) - base));
      const digits = [...(code.bytes ?? [])].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      const mnemonic = /^(?:(?:lock|rep|repne)\s+)?(\w+)/.exec(text)?.[1];
      const ours = code.instruction?.mnemonic.split(' ').at(-1);
      if (digits !== bytes.trim()) differences.push(`${line} / ${digits} ${ours}`);
      else if (mnemonic !== undefined && ours !== undefined && !sameMnemonic(mnemonic, ours)) {
        differences.push(`${line} / ${ours}`);
      }
    }
    expect(differences.slice(0, 20)).toEqual([]);
  });
});

/** Two names for one instruction. */
const otherNames: Readonly<Record<string, string>> = { movabs: 'mov', int3: 'int', nop: 'xchg' };

const sameMnemonic = (theirs: string, ours: string): boolean => theirs === ours || otherNames[theirs] === ours;

describe.skipIf(!has('llvm-nm-16'))('symbols, as llvm-nm has them', () => {
  it('leaky-inventory', () => {
    const { session } = debug([drivers[0] as string]);
    const [image] = session.symbols.modules();
    const base = Number(image?.pe?.preferredBaseU64 ?? 0n);
    const names = run('llvm-nm-16', ['-n', join(drivers[0] as string)]);
    const functions = [...names.matchAll(/^([0-9a-f]+) [tT] (Inventory\w+|DriverEntry)$/gm)];
    expect(functions.length).toBeGreaterThan(4);
    for (const [, at = '', name = ''] of functions) {
      expect(session.symbols.find(`leaky_inventory!${name}`), name).toBe(
        vaAdd(image?.base ?? (0 as never), Number.parseInt(at, 16) - base),
      );
    }
  });
});

describe.skipIf(!has('llvm-pdbutil-16'))('symbols, as llvm-pdbutil has them', () => {
  it('clean-beacon', () => {
    const path = drivers[1] as string;
    const { session } = debug([path]);
    const [image] = session.symbols.modules();
    const text = run('llvm-pdbutil-16', ['dump', '-symbols', path.replace('.sys', '.pdb')]);
    const sections = image?.pe?.sections ?? [];
    const procedures = [
      ...text.matchAll(/S_[GL]PROC32(?:_ID)? \[size = \d+\] `(\w+)`[\s\S]*?addr = (\d+):(\d+), code size = (\d+)/g),
    ];
    expect(procedures.length).toBeGreaterThan(5);
    for (const [, name = '', section, offset, size] of procedures) {
      const rva = (sections[Number(section) - 1]?.rva ?? 0) + Number(offset);
      const found = session.symbols.of(image as never).find((symbol) => symbol.name === name);
      expect([found?.va, found?.sizeBytes], name).toEqual([vaAdd(image?.base ?? (0 as never), rva), Number(size)]);
    }
  });
});

it('a table of jumps behind a function belongs to it', () => {
  const { session } = debug(['drivers/clean-beacon/clean-beacon.sys']);
  const pnp = session.symbols.find('clean_beacon!BeaconPnp');
  expect(session.symbols.functionAt(vaAdd(pnp ?? (0 as never), 0x35c))?.name).toBe('BeaconPnp');
});

it('what is no instruction is passed byte by byte', () => {
  const { session, machine } = debug(['drivers/clean-beacon/clean-beacon.sys']);
  const at = session.symbols.find('clean_beacon!BeaconPnp') ?? (0 as never);
  const frame = machine.nt.memory.mappingAt(at)?.frame ?? 0;
  machine.nt.memory.frameBytes(frame).set([0x06, 0xc3], at & 0xfff);
  const code = instructionAt(session, at);
  expect(code.instruction).toBeUndefined();
  expect(behind(code)).toBe(vaAdd(at, 1));
});
