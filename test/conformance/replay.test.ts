/** Replays what a real processor did with each instruction form on the translator. See README.md. */
import { describe, expect, test } from 'vitest';
import { ReplayMachine } from './machine.ts';
import { groupNames, readGroup } from './vectors.ts';

describe.each(groupNames())('%s', (name) => {
  const group = readGroup(name);
  const machine = new ReplayMachine(group);

  test.each(group.forms.map((form) => [form.name, form] as const))('%s', (_, form) => {
    const differences = machine.replay(form, form.isRelocatable ? 'system' : 'recorded');
    expect(differences.length, differences.slice(0, 5).join('\n')).toBe(0);
  });

  // Outside system space every access takes the slow path of the translated code.
  const touchMemory = group.forms.filter(
    (form) => form.isRelocatable && /\[|push|pop|movs|stos|lods|scas|cmps/.test(form.name),
  );
  test.runIf(touchMemory.length > 0)('operands and code outside system space', () => {
    const differences = touchMemory.flatMap((form) =>
      machine.replay(form, 'recorded', 9).map((text) => `${form.name}: ${text}`),
    );
    expect(differences.length, differences.slice(0, 5).join('\n')).toBe(0);
  });
});
