/** The debugging details of `!analyze -v`: fields that are known of a machine that stopped. */
import { type Va, vaFromU64 } from '../base/va.ts';
import type { BugCheck } from '../nt/declare/bug-check.ts';
import { processName } from '../nt/ps/process-name-exports.ts';
import { statusWithName } from '../nt/status-name.ts';
import { builtinAddress, extensionAddress, symbolAt } from './addresses.ts';
import { argumentDigits, bugCheckString, parameterValues } from './bug-check-lines.ts';
import type { Place } from './call-stack.ts';
import { argumentsOf } from './commands/stack.ts';
import { type Culprit, culpritOf, isLeakCheck } from './culprit.ts';
import { codeText, instructionAt } from './instructions.ts';
import type { Session } from './session.ts';
import type { Site } from './site.ts';
import { siteLine, siteName } from './site-text.ts';
import { moduleName } from './symbols.ts';

/** Source lines that are shown in front of the one that is meant, and behind it. */
const linesAround = 5;
const mostFrames = 0x100;

/** What the parameters of a bug check of a bad access tell: their index. The address is the first. */
interface AccessParameters {
  readonly access: number;
  readonly instruction: number;
}

const atIrql: AccessParameters = { access: 2, instruction: 3 };
const atAddress: AccessParameters = { access: 1, instruction: 2 };
const accessChecks: ReadonlyMap<number, AccessParameters> = new Map([
  [0x0a, atIrql],
  [0xd1, atIrql],
  [0xd3, atIrql],
  [0xd4, atIrql],
  [0x50, atAddress],
  [0xcc, atAddress],
  [0xcd, atAddress],
  [0xce, atAddress],
  [0xd5, atAddress],
  [0xd6, atAddress],
]);
/** Bug checks of an exception: its code is the first parameter, the instruction the second. */
const exceptionChecks: readonly number[] = [0x1e, 0x3b, 0x7e];

/** One field; several lines where it has them. */
type Field = readonly [name: string, value: string, ...more: readonly string[]];

/** Lines from `Debugging Details:` to `Followup`. `bugCheck` undefined: of the place where the machine stands. */
export function detailLines(session: Session, bugCheck: BugCheck | undefined): string[] {
  const { nt } = session.target;
  const frames = nt.exceptions.frames(mostFrames);
  const stack = frames.map(({ rip }) => rip);
  const culprit = culpritOf(session, bugCheck, stack);
  const fields: Field[] = [
    ...accessFields(session, bugCheck),
    ['CURRENT_IRQL', String(nt.cpu.state.irql)],
    ...faultingIp(session, bugCheck),
    ...(bugCheck === undefined ? [] : [bugCheckField(bugCheck)]),
    ...imageFields(session, bugCheck, culprit),
    ['PROCESS_NAME', processName(nt, nt.scheduler.currentThread.process)],
    ...lastTransfer(stack),
    ['STACK_TEXT', '', ...stackText(session)],
    ['STACK_COMMAND', 'kb'],
    ...(culprit?.place === undefined ? [] : placeFields(session, culprit.place, stack)),
    ...(culprit === undefined ? [] : ([['FOLLOWUP_NAME', 'MachineOwner']] as const)),
    ...bucketFields(session, bugCheck, culprit),
  ];
  const lines = ['Debugging Details:', '------------------', ''];
  for (const [name, value, ...more] of fields) lines.push(`${name}:  ${value}`, ...more, '');
  return [...lines, 'Followup: MachineOwner', '---------', ''];
}

/** ` ( toaster!ToasterIoctl+4c )`: extensions leave the 0x out. */
export function followupName(session: Session, { address }: Place): string {
  return (symbolAt(session, address) ?? extensionAddress(address)).replace(/\+0x/, '+');
}

function bugCheckField(bugCheck: BugCheck): Field {
  const [first = 0n] = parameterValues(bugCheck);
  return ['BUGCHECK_STR', bugCheckString(bugCheck.code, first)];
}

function accessFields(session: Session, bugCheck: BugCheck | undefined): Field[] {
  if (bugCheck === undefined) return [];
  const values = parameterValues(bugCheck);
  const [first = 0n] = values;
  if (exceptionChecks.includes(bugCheck.code)) {
    return [['EXCEPTION_CODE', `(NTSTATUS) ${statusWithName(Number(first & 0xffff_ffffn))}`]];
  }
  const known = accessChecks.get(bugCheck.code);
  if (known === undefined) return [];
  const va = vaFromU64(first);
  const symbol = symbolAt(session, va);
  const where = `${argumentDigits(first)}${symbol === undefined ? '' : ` ${symbol}`}`;
  return [[accessNames.get(values[known.access] ?? 0n) ?? 'EXECUTE_ADDRESS', where]];
}

/** 1 and 2 write, by the bug check; 8 and 0x10 execute. */
const accessNames: ReadonlyMap<bigint, string> = new Map([
  [0n, 'READ_ADDRESS'],
  [1n, 'WRITE_ADDRESS'],
  [2n, 'WRITE_ADDRESS'],
]);

function faultingIp(session: Session, bugCheck: BugCheck | undefined): Field[] {
  if (bugCheck === undefined) return [['FAULTING_IP', '', ...placeLines(session, session.target.nt.cpu.state.rip)]];
  const index = exceptionChecks.includes(bugCheck.code) ? 1 : accessChecks.get(bugCheck.code)?.instruction;
  if (index === undefined) return [];
  return [['FAULTING_IP', '', ...placeLines(session, vaFromU64(parameterValues(bugCheck)[index] ?? 0n))]];
}

function placeLines(session: Session, va: Va): string[] {
  return [
    followupName(session, { address: va, site: { module: '', offset: '' } }),
    codeText(instructionAt(session, va)),
  ];
}

function imageFields(session: Session, bugCheck: BugCheck | undefined, culprit: Culprit | undefined): Field[] {
  if (culprit === undefined) return [];
  const { image } = culprit;
  const record = bugCheck && isLeakCheck(bugCheck) ? session.target.poolTracking?.recordOf(image) : undefined;
  return [
    ['IMAGE_NAME', image.fileName],
    ['DEBUG_FLR_IMAGE_TIMESTAMP', (image.pe?.timestamp ?? 0).toString(16)],
    ['MODULE_NAME', moduleName(image)],
    ['FAULTING_MODULE', `${extensionAddress(image.base)} ${moduleName(image)}`],
    ...(record === undefined
      ? []
      : ([['VERIFIER_DRIVER_ENTRY', `nt!_VF_TARGET_DRIVER ${extensionAddress(record)}`]] as const)),
  ];
}

function lastTransfer([current, caller]: readonly Va[]): Field[] {
  if (current === undefined || caller === undefined) return [];
  return [['LAST_CONTROL_TRANSFER', `from ${extensionAddress(caller)} to ${extensionAddress(current)}`]];
}

function stackText(session: Session): string[] {
  const frames = session.target.nt.exceptions.frames(mostFrames);
  return frames.map((frame, index) => {
    const above = frames[index + 1];
    const back = above === undefined ? 0 : above.rip;
    const name = symbolAt(session, frame.rip) ?? extensionAddress(frame.rip);
    return `${builtinAddress(frame.rsp)} ${builtinAddress(back as Va)} : ${argumentsOf(session, above).join(' ')} : ${name}`;
  });
}

function placeFields(session: Session, place: Place, stack: readonly Va[]): Field[] {
  const { address, site } = place;
  const name = followupName(session, place);
  // An offset belongs to the function that the code stands in.
  const names = site.inlined
    ? [name, `(Inline Function) ${siteName({ ...site, offset: '0x0' })}${siteLine(site)}`]
    : [`${name}${siteLine(site)}`];
  const index = stack.indexOf(address);
  return [
    ['FOLLOWUP_IP', '', ...names, codeText(instructionAt(session, address))],
    ...sourceFields(session, site),
    // A tail jump has left no frame.
    ...(index < 0 ? [] : ([['SYMBOL_STACK_INDEX', index.toString(16)]] as const)),
    ['SYMBOL_NAME', name],
  ];
}

function sourceFields({ target }: Session, { file, line }: Site): Field[] {
  if (file === undefined || line === undefined) return [];
  const all = target.readSource?.(file);
  const first = Math.max(1, line - linesAround);
  const code =
    all === undefined || all[line - 1] === undefined
      ? [`No source found for '${file}'`]
      : all.slice(first - 1, line + linesAround).map((text, index) => {
          const number = first + index;
          return `${number === line ? '>' : ' '}${String(number).padStart(5)}: ${text}`;
        });
  return [
    ['FAULTING_SOURCE_LINE', file],
    ['FAULTING_SOURCE_FILE', file],
    ['FAULTING_SOURCE_LINE_NUMBER', String(line)],
    ['FAULTING_SOURCE_CODE', '', ...code],
  ];
}

/** What alike bug checks have in common. */
function bucketFields(session: Session, bugCheck: BugCheck | undefined, culprit: Culprit | undefined): Field[] {
  if (bugCheck === undefined) return [];
  const name = bugCheckField(bugCheck)[1];
  const where =
    culprit?.place === undefined
      ? `IMAGE_${culprit?.image.fileName ?? 'unknown'}`
      : followupName(session, culprit.place).replace(/\+[0-9a-f]+$/, '');
  const bucket = `${name}_VRF_${isLeakCheck(bugCheck) ? 'LEAKED_POOL_' : ''}${where}`;
  return [
    ['FAILURE_BUCKET_ID', bucket],
    ['BUCKET_ID', bucket],
  ];
}
