/** Operations on keys, with the RegistryCallback routines called before and after them. */
import { nullVa, type Va } from '../../base/va.ts';
import type { Call, ResumedCall } from '../declare/call.ts';
import type { ArgumentsOf, RoutineDeclaration } from '../declare/nt-routine.ts';
import { isAction, type Outcome, unsupported } from '../declare/outcome.ts';
import type { Nt } from '../nt.ts';
import { ntSuccess, STATUS_CALLBACK_BYPASS, STATUS_SUCCESS } from '../ntstatus.ts';
import { releaseObject } from '../ob/references.ts';
import { OBJECT_ATTRIBUTES } from '../structures/io.ts';
import {
  REG_CREATE_KEY_INFORMATION_V1,
  REG_DELETE_VALUE_KEY_INFORMATION,
  REG_ENUMERATE_KEY_INFORMATION,
  REG_QUERY_KEY_INFORMATION,
  REG_QUERY_VALUE_KEY_INFORMATION,
  REG_SET_VALUE_KEY_INFORMATION,
} from '../structures/registry-callbacks.ts';
import { callAfter, callBefore, makeBlock, type NotifyName, passed } from './callback-calls.ts';

type Parameters = RoutineDeclaration['params'];
/** The routines' arguments are all numbers. */
type Numbers = Readonly<Record<string, number>>;

function isOpen(name: NotifyName): boolean {
  return name === 'CreateKeyEx' || name === 'OpenKeyEx';
}

/** The fields of the information that have the argument's value, by the argument's name. */
const layouts: Readonly<Partial<Record<NotifyName, object>>> = {
  SetValueKey: REG_SET_VALUE_KEY_INFORMATION,
  DeleteValueKey: REG_DELETE_VALUE_KEY_INFORMATION,
  EnumerateKey: REG_ENUMERATE_KEY_INFORMATION,
  EnumerateValueKey: REG_ENUMERATE_KEY_INFORMATION,
  QueryKey: REG_QUERY_KEY_INFORMATION,
  QueryValueKey: REG_QUERY_VALUE_KEY_INFORMATION,
};
const renamed: Numbers | Readonly<Record<string, string>> = {
  KeyValueInformationClass: 'KeyInformationClass',
  KeyValueInformation: 'KeyInformation',
};

function describe(nt: Nt, name: NotifyName, args: Numbers, block: Va): void {
  const { memory } = nt;
  if (isOpen(name)) {
    describeOpen(nt, args, block);
    return;
  }
  memory.writeVa(block, nt.registry.bodyOf(args.KeyHandle as Va) ?? nullVa);
  const layout = (layouts[name] ?? {}) as Record<
    string,
    { readonly size: number; set(m: unknown, at: Va, value: number): void } | undefined
  >;
  for (const [argument, value] of Object.entries(args)) {
    const field = layout[argument] ?? layout[renamed[argument] ?? ''];
    field?.set(memory, block, value);
  }
}

function describeOpen(nt: Nt, args: Numbers, block: Va): void {
  const { memory } = nt;
  const attributes = args.ObjectAttributes as Va;
  const information = REG_CREATE_KEY_INFORMATION_V1;
  const name = OBJECT_ATTRIBUTES.ObjectName.get(memory, attributes);
  const root = OBJECT_ATTRIBUTES.RootDirectory.get(memory, attributes);
  information.CompleteName.set(memory, block, name);
  information.RemainingName.set(memory, block, name);
  const rootObject = root === nullVa ? nt.registry.rootObject : nt.registry.bodyOf(root);
  information.RootObject.set(memory, block, rootObject ?? nullVa);
  const typeAt = nt.images.kernelExport('ntoskrnl.exe', 'CmKeyObjectType');
  if (typeAt !== undefined) information.ObjectType.set(memory, block, memory.readVa(typeAt));
  information.Options.set(memory, block, args.CreateOptions ?? args.OpenOptions ?? 0);
  information.Class.set(memory, block, (args.Class ?? 0) as Va);
  information.SecurityDescriptor.set(memory, block, OBJECT_ATTRIBUTES.SecurityDescriptor.get(memory, attributes));
  information.DesiredAccess.set(memory, block, args.DesiredAccess ?? 0);
  information.Disposition.set(memory, block, (args.Disposition ?? 0) as Va);
  information.Attributes.set(memory, block, OBJECT_ATTRIBUTES.Attributes.get(memory, attributes));
  information.Version.set(memory, block, 1n);
  information.CheckAccessMode.set(memory, block, nt.previousMode);
}

/** Whether the operation comes so far that anybody hears of it. */
function isHeard(nt: Nt, name: NotifyName, args: Numbers): boolean {
  if (!nt.registry.callbacks.isAny) return false;
  if (!isOpen(name)) return nt.registry.bodyOf(args.KeyHandle as Va) !== undefined;
  const attributes = args.ObjectAttributes as Va;
  return attributes !== nullVa && OBJECT_ATTRIBUTES.ObjectName.get(nt.memory, attributes) !== nullVa;
}

/** The key object that an operation was about; the new one of an open that succeeded. */
function objectOf(nt: Nt, name: NotifyName, args: Numbers, block: Va, status: number): Va {
  if (!isOpen(name)) return nt.memory.readVa(block);
  if (!ntSuccess(status)) return nullVa;
  return nt.objects.handle(nt.memory.readI64AsNumber(args.KeyHandle as Va))?.body ?? nullVa;
}

/** A routine that turned success into failure leaves no handle behind. */
function takeHandleBack(nt: Nt, handleAt: Va): void {
  const { body } = nt.objects.closeHandle(nt.memory.readI64AsNumber(handleAt));
  if (body !== undefined) releaseObject(nt, body);
}

/** The routine as declared, with those called who registered for it. `notify`: what they hear of it. */
export function filtered<P extends Parameters>(
  notify: NotifyName,
  declaration: Omit<RoutineDeclaration<P>, 'body'> & {
    body(nt: Nt, args: ArgumentsOf<P>, call: Call | ResumedCall): Outcome;
  },
): RoutineDeclaration<P> {
  const names = Object.keys(declaration.params);
  const argumentsAt = (values: readonly number[]): Numbers =>
    Object.fromEntries(names.map((name, index) => [name, values[index] ?? 0]));
  return {
    ...declaration,
    body: (nt, args, call) => {
      const numbers = args as unknown as Numbers;
      if (!isHeard(nt, notify, numbers)) return declaration.body(nt, args, call);
      const block = makeBlock(nt);
      describe(nt, notify, numbers, block);
      return callBefore(nt, notify, block, 'mayPass', [block, ...names.map((name) => numbers[name] ?? 0)]);
    },
    resume: {
      mayPass: (nt, call) => {
        const block = call.va(0);
        const args = argumentsAt(call.record.slice(1));
        const allowed = call.status >>> 0;
        if (allowed === STATUS_CALLBACK_BYPASS && isOpen(notify)) {
          return unsupported('STATUS_CALLBACK_BYPASS for a key that is opened or created');
        }
        const instead = allowed === STATUS_CALLBACK_BYPASS ? STATUS_SUCCESS : allowed;
        const outcome = ntSuccess(allowed) ? declaration.body(nt, args as never, call) : instead;
        if (isAction(outcome)) return outcome;
        const status = Number(outcome) >>> 0;
        if (passed(nt, block) === 0) {
          nt.pool.freeKernel(block);
          return status;
        }
        const object = objectOf(nt, notify, args, block, status);
        return callAfter(nt, notify, { block, object, status }, 'isOver', [block, status, args.KeyHandle ?? 0]);
      },
      isOver: (nt, call) => {
        const status = call.status >>> 0;
        nt.pool.freeKernel(call.va(0));
        if (isOpen(notify) && ntSuccess(call.word(1)) && !ntSuccess(status)) takeHandleBack(nt, call.va(2));
        return status;
      },
    },
  };
}
