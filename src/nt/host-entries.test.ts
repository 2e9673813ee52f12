import { describe, expect, it } from 'vitest';
import { KernelCaller } from '../../test/kernel-caller.ts';
import { proceed } from './host-entries.ts';

describe('hooks around a routine', () => {
  it('see the call and the result of a routine that answers at once', () => {
    const t = new KernelCaller();
    const seen: unknown[] = [];
    t.nt.entries.hook('IoSizeofWorkItem', {
      before: (_nt, call) => {
        seen.push(call.name);
        return proceed;
      },
      after: (_nt, _call, result) => seen.push(result),
    });
    const bytes = t.call('IoSizeofWorkItem');
    expect(seen).toEqual(['IoSizeofWorkItem', bytes]);
  });

  it('are refused behind a routine that goes on at a resume point: they would never run', () => {
    const { entries } = new KernelCaller().nt;
    expect(() => entries.hook('IofCallDriver', { after: () => {} })).toThrow(/takes steps before it answers/);
    expect(() => entries.hook('IofCallDriver', { before: () => proceed })).not.toThrow();
  });

  it('are refused on a routine that does not exist', () => {
    expect(() => new KernelCaller().nt.entries.hook('IoNoSuchRoutine', {})).toThrow(/no routine IoNoSuchRoutine/);
  });

  it('never stand behind a resume point in this machine', () => {
    const { entries } = new KernelCaller().nt;
    for (const { name, routine } of entries.routines()) {
      if (routine.resume === undefined) continue;
      expect(() => entries.hook(name, { after: () => {} }), name).toThrow();
    }
  });
});
