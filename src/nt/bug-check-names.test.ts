import { expect, it } from 'vitest';
import { bugCheckName } from './bug-check-names.ts';

it.each([
  [0x0a, 'IRQL_NOT_LESS_OR_EQUAL'],
  [0xc4, 'DRIVER_VERIFIER_DETECTED_VIOLATION'],
  [0xd1, 'DRIVER_IRQL_NOT_LESS_OR_EQUAL'],
  [0x139, 'KERNEL_SECURITY_CHECK_FAILURE'],
  [0xdead_beef, undefined],
])('%i is %s', (code, name) => {
  expect(bugCheckName(code)).toBe(name);
});
