/**
 * A bug check in the layout of the debugger's `!analyze -v`: a heading, a sentence and one line for each argument.
 */
import { explanationOf, shortHex } from '../../verifier/bug-checks/explanations.ts';
import type { ReportBugCheck } from './report.ts';

/** The block that a debugger prints; lines without line ends. */
export function bugCheckLines(bugCheck: ReportBugCheck, driverName: string): string[] {
  const code = shortHex(bugCheck.code);
  const [first, second] = bugCheck.parameters;
  const explanation = explanationOf(code, first, second);
  const lines = [`${bugCheck.name} (${code})`];
  if (explanation !== undefined) lines.push(explanation.about);
  lines.push('Arguments:');
  for (const [index, parameter] of bugCheck.parameters.entries()) {
    const meaning = explanation?.meanings[index as 0 | 1 | 2 | 3] ?? '';
    lines.push(`Arg${index + 1}: ${parameterText(parameter)}${meaning === '' ? '' : `, ${meaning}`}`);
  }
  if (code === 'c4' && shortHex(first) === '62') {
    lines.push(`\tWhat is left is listed below; in a kernel debugger on Windows: !verifier 3 ${driverName}`);
  }
  return lines;
}

/** 16 digits without a prefix; what is no number (a non-canonical address has no value) stays. */
function parameterText(parameter: string): string {
  return /^0x[0-9a-f]{1,16}$/i.test(parameter) ? parameter.slice(2).toLowerCase().padStart(16, '0') : parameter;
}
