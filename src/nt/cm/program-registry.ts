/** What the requesting program does with the registry, so that those who registered for it hear of operations. */
import { type Va, vaAdd } from '../../base/va.ts';
import { passiveOnly } from '../declare/irql-ranges.ts';
import { ntInternals, ntRoutine } from '../declare/nt-routine.ts';
import { callGuest, type Outcome } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { STATUS_SUCCESS } from '../ntstatus.ts';
import { utf16OfText } from '../rtl/guest-text.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import { UNICODE_STRING } from '../structures/strings.ts';

const keyPath = '\\REGISTRY\\MACHINE\\SOFTWARE\\Poolproof';
const valueName = 'Value';
const keyAllAccess = 0xf_003f;
const dword = 4;
/** Where things lie in the memory of the process. */
const at = {
  handle: 0,
  told: 8,
  attributes: 0x10,
  path: 0x40,
  value: 0x50,
  pathText: 0x60,
  valueText: 0xe0,
  data: 0x100,
};
const dataBytes = 0x100;
const memoryBytes = at.data + dataBytes;

function putString(nt: Nt, string: Va, text: Va, value: string): void {
  const bytes = utf16OfText(value);
  nt.memory.writeBytes(text, bytes);
  UNICODE_STRING.Length.set(nt.memory, string, bytes.length);
  UNICODE_STRING.MaximumLength.set(nt.memory, string, bytes.length);
  UNICODE_STRING.Buffer.set(nt.memory, string, text);
}

function prepare(nt: Nt): Va {
  const { memory } = nt;
  const base = nt.userMemory.allocate(memoryBytes);
  memory.fill(base, memoryBytes, 0);
  putString(nt, vaAdd(base, at.path), vaAdd(base, at.pathText), keyPath);
  putString(nt, vaAdd(base, at.value), vaAdd(base, at.valueText), valueName);
  const attributes = vaAdd(base, at.attributes);
  OBJECT_ATTRIBUTES.Length.set(memory, attributes, OBJECT_ATTRIBUTES.sizeBytes);
  OBJECT_ATTRIBUTES.ObjectName.set(memory, attributes, vaAdd(base, at.path));
  OBJECT_ATTRIBUTES.Attributes.set(memory, attributes, 0x40);
  return base;
}

type Service = readonly [routine: string, args: (base: Va, handle: number) => readonly number[]];

const open: Service = ['ZwOpenKey', (base) => [base, keyAllAccess, vaAdd(base, at.attributes)]];
const close: Service = ['ZwClose', (_base, handle) => [handle]];
const information = (base: Va): readonly number[] => [vaAdd(base, at.data), dataBytes, vaAdd(base, at.told)];

/** In order; what fails is passed over, as a program does that only looks. */
const services: readonly Service[] = [
  open,
  ['ZwCreateKey', (base) => [base, keyAllAccess, vaAdd(base, at.attributes), 0, 0, 0, vaAdd(base, at.told)]],
  ['ZwSetValueKey', (base, handle) => [handle, vaAdd(base, at.value), 0, dword, vaAdd(base, at.data), 4]],
  ['ZwQueryValueKey', (base, handle) => [handle, vaAdd(base, at.value), 2, ...information(base)]],
  ['ZwEnumerateValueKey', (base, handle) => [handle, 0, 1, ...information(base)]],
  ['ZwEnumerateKey', (base, handle) => [handle, 0, 0, ...information(base)]],
  ['ZwQueryKey', (base, handle) => [handle, 0, ...information(base)]],
  close,
  open,
  ['ZwFlushKey', (_base, handle) => [handle]],
  ['ZwDeleteValueKey', (base, handle) => [handle, vaAdd(base, at.value)]],
  ['ZwDeleteKey', (_base, handle) => [handle]],
  close,
];

/** Record: [memory, place of the service that was called]. */
function next(nt: Nt, base: Va, index: number): Outcome {
  const handle = nt.memory.readI64AsNumber(base);
  const service = services[index];
  if (service === undefined) {
    nt.userMemory.free(base);
    return STATUS_SUCCESS;
  }
  const [routine, args] = service;
  const needsHandle = service !== open && routine !== 'ZwCreateKey';
  if (needsHandle && handle === 0) return next(nt, base, index + 1);
  return callGuest(nt.entries.routineVa(routine), args(base, handle), 'returned', [base, index]);
}

export const cmProgram = ntInternals({
  CmpRegistryOfProgram: ntRoutine({
    doc: 'a program makes a key with a value, reads it, and deletes it again',
    irql: passiveOnly,
    params: {},
    returns: 'NTSTATUS',
    body: (nt) => next(nt, prepare(nt), 0),
    resume: {
      returned: (nt, call) => {
        const base = call.va(0);
        if (services[call.word(1)] === close) nt.memory.writeU64(base, 0n);
        return next(nt, base, call.word(1) + 1);
      },
    },
  }),
});
