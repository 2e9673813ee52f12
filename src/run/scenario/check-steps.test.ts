import { expect, it } from 'vitest';
import { checkSteps } from './check-steps.ts';
import { parseStep } from './step.ts';

const check = (...texts: string[]) => checkSteps(texts.map(parseStep), ['one.sys', 'Two.sys']);

it('accepts steps whose handles and events exist', () => {
  check(
    'e1=event',
    'h1=open \\\\.\\A',
    'open \\\\.\\B',
    'ioctl h1 1 in=@e1,@h1',
    'read 4',
    'close h1',
    'close',
    'wait 1s',
    'unload two',
    'unload ONE.sys',
  );
});

it.each([
  [['unload three'], "step 'unload three': no driver is called 'three'; there is one.sys, Two.sys"],
  [['read 4'], "step 'read 4': no step before it opens a device"],
  [['open \\\\.\\A', 'close b'], "step 'close b': no step before it opens 'b'"],
  [['close h1', 'h1=open \\\\.\\A'], "step 'close h1': no step before it opens 'h1'"],
  [['open \\\\.\\A', 'ioctl 1 in=@e2'], "step 'ioctl 1 in=@e2': no step before it makes 'e2'"],
])('refuses %j', (steps, message) => {
  expect(() => check(...steps)).toThrow(
    expect.objectContaining({ code: 'PP5003', message: expect.stringContaining(message) }),
  );
});
