import { describe, expect, it } from 'vitest';
import { vaFromU64 } from '../../src/base/va.ts';
import { type FrameShape, frameShape, lookupFunctionEntry, virtualUnwind } from '../../src/image/unwind/index.ts';
import { type Compiler, hasTools, imageBase, needed, type Step, stepNatively } from './native-steps.ts';
import { objdumpListing, ourListing } from './objdump-listing.ts';

const builds: [Compiler, string[]][] = [
  ['clang', ['-O0']],
  ['clang', ['-O2']],
  ['clang', ['-Os', '-fno-omit-frame-pointer']],
  ['gcc', ['-O0']],
  ['gcc', ['-O2']],
  ['gcc', ['-Os', '-fno-omit-frame-pointer']],
];

/** What the caller's registers are by the frame shape alone. */
function callerByShape(shape: FrameShape, step: Step) {
  const base = step.gpr[shape.register]!;
  const read = (offset: number) => step.readStack(vaFromU64(BigInt.asUintN(64, base + BigInt(offset))));
  const gpr = new Map(
    [...step.caller.gpr.keys()].map((register) => [register, step.gpr[register] as bigint | undefined]),
  );
  for (const { register, offsetBytes } of shape.saved) if (gpr.has(register)) gpr.set(register, read(offsetBytes));
  return { rip: read(shape.frameSizeBytes), rsp: base + BigInt(shape.frameSizeBytes) + 8n, gpr };
}

describe.skipIf(!hasTools(needed))('unwinding from every instruction that a processor executed', () => {
  it.each(builds)('%s %s', (compiler, flags) => {
    const { pe, steps } = stepNatively(compiler, flags, (file, image) => {
      if (hasTools(['llvm-objdump-16'])) expect(ourListing(image)).toEqual(objdumpListing(file));
    });
    expect(steps.length).toBeGreaterThan(1000);
    const kinds = new Set<string>();
    for (const step of steps) {
      const rva = Number(step.rip) - imageBase;
      const where = `at RVA 0x${rva.toString(16)}`;
      const result = virtualUnwind({
        pe,
        imageBase,
        entry: lookupFunctionEntry(pe, rva),
        context: step,
        memory: { readU64: step.readStack },
        handlerType: 'none',
      });
      if (result.kind !== 'unwound') throw new Error(`${result.kind} ${where}`);
      const { context } = result;
      expect(context.rip, `rip ${where}`).toBe(step.caller.rip);
      expect(context.gpr[4], `rsp ${where}`).toBe(step.caller.rsp);
      for (const [register, value] of step.caller.gpr) {
        expect(context.gpr[register], `register ${register} ${where}`).toBe(value);
      }
      expect(context.xmm.slice(12), `xmm ${where}`).toEqual(step.caller.xmm);
      const shape = frameShape(pe, rva);
      if (shape === undefined) throw new Error(`no shape ${where}`);
      kinds.add(shape.kind);
      const { rip, rsp, gpr } = callerByShape(shape, step);
      expect({ rip, rsp, gpr }, `shape ${where}`).toEqual({
        rip: step.caller.rip,
        rsp: step.caller.rsp,
        gpr: step.caller.gpr,
      });
    }
    expect([...kinds].sort()).toEqual(['fixed', 'frame-register']);
  });
});
