import type { BugCheck } from '../../nt/declare/bug-check.ts';
import { detailLines, followupName } from '../analysis.ts';
import { analysisBox, bugCheckLines, parameterValues } from '../bug-check-lines.ts';
import { CommandError, type DebuggerCommand } from '../command.ts';
import { culpritOf } from '../culprit.ts';
import { evaluatePrefix } from '../expression.ts';
import type { Session } from '../session.ts';

const notThere: Readonly<Record<string, string>> = {
  '-f': 'an exception without a bug check is not analyzed',
  '-hang': 'hung machines are not analyzed; the verdict says what holds a driver',
  '-c': 'known issues are not looked up',
  '-xml': 'there is no output as XML; the report is JSON',
  '-xmi': 'there is no output as XML; the report is JSON',
  '-xcs': 'there is no output as XML; the report is JSON',
  '-xmf': 'there is no output as XML; the report is JSON',
};

export const analyze: DebuggerCommand = {
  name: '!analyze',
  usage: ['!analyze [-v]', '!analyze -show Code [P1 P2 P3 P4]'],
  summary: 'what is known of the bug check, and who is to blame',
  details: [
    '-v     everything: arguments, stack, place in the source',
    '-show  what a bug check and its parameters mean',
  ],
  completes: ['text'],
  run: (session, text) => {
    const [, option = '', rest = ''] = /^(\S*)\s*(.*)$/.exec(text) ?? [];
    if (option === '-show') {
      show(session, rest);
      return;
    }
    if (notThere[option] !== undefined)
      throw new CommandError(`!analyze ${option} is not supported: ${notThere[option]}`);
    const isVerbose = /^-v(v|\d{1,2})?$/.test(option);
    if ((option !== '' && !isVerbose) || rest !== '') {
      throw new CommandError(`!analyze does not know '${text}'; .help !analyze tells what it knows`);
    }
    for (const line of analysisBox()) session.print(line);
    const end = session.target.nt.end.value;
    const bugCheck = end?.kind === 'bug-check' ? end.bugCheck : undefined;
    if (isVerbose) verbose(session, bugCheck);
    else brief(session, bugCheck);
  },
};

function verbose(session: Session, bugCheck: BugCheck | undefined): void {
  const driverName = bugCheck && culpritOf(session, bugCheck, [])?.image.fileName;
  const data = { code: bugCheck?.code ?? 0, parameters: bugCheck ? parameterValues(bugCheck) : [0n, 0n, 0n, 0n] };
  const lines = bugCheck === undefined ? withoutBugCheck(session) : bugCheckLines({ ...data, driverName });
  for (const line of [...lines, '', ...detailLines(session, bugCheck)]) session.print(line);
}

/** Zeros, as the debugger has them, and why the machine stands. */
function withoutBugCheck({ target }: Session): string[] {
  const zeros = [1, 2, 3, 4].map((number) => `Arg${number}: ${'0'.repeat(16)}`);
  const end = target.nt.end.value;
  const why =
    end?.kind === 'unsupported'
      ? `The machine stopped without a bug check: ${end.name} is not supported.`
      : end?.kind === 'instruction-limit'
        ? 'The machine stopped without a bug check: the driver ran to its limit of instructions.'
        : target.isOver
          ? "The drivers' life is over, without a bug check."
          : 'There was no bug check: the machine stands where the debugger stopped it.';
  return ['Unknown bugcheck code (0)', 'Unknown bugcheck description', why, 'Arguments:', ...zeros];
}

function brief(session: Session, bugCheck: BugCheck | undefined): void {
  const stack = session.target.nt.currentStack();
  session.print('Use !analyze -v to get detailed debugging information.');
  session.print();
  const code = (bugCheck?.code ?? 0).toString(16).toUpperCase();
  const values = bugCheck === undefined ? [0n, 0n, 0n, 0n] : parameterValues(bugCheck);
  session.print(`BugCheck ${code}, {${values.map((value) => value.toString(16)).join(', ')}}`);
  session.print();
  const culprit = culpritOf(session, bugCheck, stack);
  if (culprit !== undefined) {
    const place = culprit.place === undefined ? '' : ` ( ${followupName(session, culprit.place)} )`;
    session.print(`Probably caused by : ${culprit.image.fileName}${place}`);
    session.print();
  }
  session.print('Followup: MachineOwner');
  session.print('---------');
  session.print();
}

/** Parameters that are not typed tell no rule; they are shown as 0. */
function show(session: Session, text: string): void {
  if (text === '') throw new CommandError('!analyze -show needs the code of a bug check');
  const values: bigint[] = [];
  for (let left = text; left !== ''; ) {
    const { value, rest } = evaluatePrefix(session, left);
    values.push(value);
    left = rest;
  }
  const [code = 0n, ...parameters] = values;
  if (parameters.length > 4) throw new CommandError('A bug check has four parameters');
  if (code > 0xffff_ffffn) throw new CommandError(`${code.toString(16)} is no code of a bug check`);
  const four = [0, 1, 2, 3].map((index) => parameters[index]);
  for (const line of [...bugCheckLines({ code: Number(code), parameters: four }), '']) session.print(line);
}
