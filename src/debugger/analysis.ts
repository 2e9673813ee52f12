/** The debugging details of `!analyze -v`: fields that are known of a machine that stopped. */
import { type Va, vaFromU64 } from '../base/va.ts';
import type { BugCheck } from '../nt/declare/bug-check.ts';
import { processName } from '../nt/ps/process-name-exports.ts';
import { builtinAddress, extensionAddress, symbolAt } from './addresses.ts';
import { bugCheckString, parameterValues } from './bug-check-lines.ts';
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

/** Bug checks of a bad access: which parameter tells the access, and which the instruction; values that write. */
const accessChecks: ReadonlyMap<number, { readonly access: 1 | 2 | undefined; readonly ip: 2 | 3 | undefined }> =
  new Map([
    [0x0a, { access: 2, ip: 3 }],
    [0xd1, { access: 2, ip: 3 }],
    [0xd3, { access: 2, ip: 3 }],
    [0xd4, { access: 2, ip: 3 }],
    [0x50, { access: 1, ip: 2 }],
    [0xce, { access: 1, ip: 2 }],
    [0xcc, { access: 1, ip: 2 }],
    [0xcd, { access: 1, ip: 2 }],
    [0xd5, { access: 1, ip: 2 }],
    [0xd6, { access: 1, ip: 2 }],
    [0xbe, { access: undefined, ip: undefined }],
  ]);

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
    ...bucketFields(bugCheck, culprit),
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
  const known = bugCheck && accessChecks.get(bugCheck.code);
  if (bugCheck === undefined || known === undefined) return [];
  const values = parameterValues(bugCheck);
  const va = vaFromU64(values[0] ?? 0n);
  const access = known.access === undefined ? 1n : (values[known.access] ?? 0n);
  const name = access === 0n ? 'READ_ADDRESS' : access === 1n || access === 2n ? 'WRITE_ADDRESS' : 'EXECUTE_ADDRESS';
  const symbol = symbolAt(session, va);
  return [[name, `${extensionAddress(va)}${symbol === undefined ? '' : ` ${symbol}`}`]];
}

function faultingIp(session: Session, bugCheck: BugCheck | undefined): Field[] {
  if (bugCheck === undefined) return [['FAULTING_IP', '', ...placeLines(session, session.target.nt.cpu.state.rip)]];
  const index = accessChecks.get(bugCheck.code)?.ip;
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

function placeFields(session: Session, { address, site }: Place, stack: readonly Va[]): Field[] {
  const name = followupName(session, { address, site });
  const index = stack.indexOf(address);
  const inlined = site.inlined ? [`${siteName(site)}${siteLine(site)}`] : [];
  return [
    ['FOLLOWUP_IP', '', `${name}${siteLine(site)}`, ...inlined, codeText(instructionAt(session, address))],
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
function bucketFields(bugCheck: BugCheck | undefined, culprit: Culprit | undefined): Field[] {
  if (bugCheck === undefined) return [];
  const name = bugCheckField(bugCheck)[1];
  const where =
    culprit?.place?.site.function === undefined
      ? `IMAGE_${culprit?.image.fileName ?? 'unknown'}`
      : `${moduleName(culprit.image)}!${culprit.place.site.function}`;
  const bucket = isLeakCheck(bugCheck) ? `${name}_VRF_LEAKED_POOL_${where}` : `${name}_VRF_${where}`;
  return [
    ['FAILURE_BUCKET_ID', bucket],
    ['BUCKET_ID', bucket],
  ];
}
