import { describe, expect, it } from 'vitest';
import { buildPe } from '../../test/pe-builder.ts';
import { parsePe } from '../image/pe/index.ts';
import { kernelComponents } from '../nt/components.ts';
import { inspect, supportedExports, supportOf } from './inspect.ts';
import { inspectionText } from './report/inspection-text.ts';

const { bytes } = buildPe({
  imports: {
    'ntoskrnl.exe': ['DbgPrint', 'IoCreateDevice', 'NtNeverThere', 7],
    'HAL.dll': ['KeGetCurrentIrql'],
    'WDFLDR.SYS': ['WdfVersionBind', 'DbgPrint'],
  },
  codeView: { guid: new Uint8Array(16).fill(0xab), age: 3, path: 'C:\\build\u001b\\x.pdb' },
});
const inspection = inspect(parsePe(bytes, 'sample.sys'));

describe('inspect', () => {
  it('tells of every import whether it is supported, and what a partial one lacks', () => {
    expect(inspection.imports).toEqual([
      { module: 'ntoskrnl.exe', name: 'DbgPrint', support: 'full' },
      { module: 'ntoskrnl.exe', name: 'IoCreateDevice', support: 'partial', missing: expect.stringMatching(/\w/) },
      { module: 'ntoskrnl.exe', name: 'NtNeverThere', support: 'none' },
      { module: 'ntoskrnl.exe', name: '#7', support: 'none' },
      { module: 'HAL.dll', name: 'KeGetCurrentIrql', support: supportOf('hal.dll', 'KeGetCurrentIrql').support },
      { module: 'WDFLDR.SYS', name: 'WdfVersionBind', support: 'none' },
      { module: 'WDFLDR.SYS', name: 'DbgPrint', support: 'none' },
    ]);
  });

  it('tells facts of the image', () => {
    expect(inspection.image).toMatchObject({
      name: 'sample.sys',
      fileBytes: bytes.length,
      pdb: { age: 3, guid: 'ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB' },
      isSigned: false,
    });
    expect(inspection.image.sections.find(({ name }) => name === '.text')?.access).toBe('r-x');
  });

  it('as text is harmless and has one line for each import', () => {
    const text = inspectionText(inspection);
    expect(text).not.toContain('\u001b');
    expect(text).toContain('C:\\build\\x1b\\x.pdb (ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB, age 3)');
    expect(text).toMatch(/^ {4}DbgPrint +full$/m);
    expect(text).toMatch(/^ {4}IoCreateDevice +partial: \w/m);
    expect(text).toMatch(/^ {4}NtNeverThere +not supported$/m);
  });
});

describe('supported exports', () => {
  it('are those that the components declare as exported, each once', () => {
    const names = supportedExports().map(({ module, name }) => `${module}!${name}`);
    expect(new Set(names).size).toBe(names.length);
    const internal = kernelComponents
      .filter(({ isExported }) => !isExported)
      .flatMap(({ routines }) => Object.keys(routines));
    expect(internal.length).toBeGreaterThan(0);
    for (const name of internal) expect(supportOf('ntoskrnl.exe', name), name).toEqual({ support: 'none' });
  });

  it('of ntoskrnl.exe are found under hal.dll too, not the other way', () => {
    expect(supportOf('hal.dll', 'DbgPrint')).toEqual(supportOf('ntoskrnl.exe', 'DbgPrint'));
    const ofHal = supportedExports().find(({ module }) => module === 'hal.dll');
    if (ofHal !== undefined) expect(supportOf('ntoskrnl.exe', ofHal.name)).toEqual({ support: 'none' });
  });
});
