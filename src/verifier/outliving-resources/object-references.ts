import type { StoreMap } from '../../base/store.ts';
import { nullVa, type Va, vaFromHalves } from '../../base/va.ts';
import type { Call } from '../../nt/declare/call.ts';
import type { Outcome } from '../../nt/declare/outcome.ts';
import { proceed } from '../../nt/host-entries.ts';
import { type Origin, originOf } from '../../nt/mm/holder.ts';
import type { KernelImage } from '../../nt/mm/kernel-image.ts';
import type { Nt } from '../../nt/nt.ts';
import { ntSuccess } from '../../nt/ntstatus.ts';

/** References that one driver took to one object and has not dropped. */
export interface HeldReferences {
  readonly imageIndex: number;
  readonly object: Va;
  /** `Event`, with its name if it has one. */
  readonly objectName: string;
  /** Where each was taken, oldest first. */
  readonly origins: readonly Origin[];
}

/** Index of the argument that names the object, for routines that take or drop a reference to it. */
const takenByArgument: Readonly<Record<string, number>> = {
  ObReferenceObjectByPointer: 0,
  ObReferenceObjectByPointerWithTag: 0,
  ObfReferenceObject: 0,
  ObfReferenceObjectWithTag: 0,
};
const droppedByArgument: Readonly<Record<string, number>> = {
  ObfDereferenceObject: 0,
  ObfDereferenceObjectWithTag: 0,
  ObDereferenceObjectDeferDelete: 0,
  ObDereferenceObjectDeferDeleteWithTag: 0,
  PsDereferencePrimaryToken: 0,
  PsDereferenceImpersonationToken: 0,
};
/** Index of the argument that points to where the object's address is stored. */
const takenThroughPointer: Readonly<Record<string, number>> = {
  ObReferenceObjectByHandle: 4,
  ObReferenceObjectByHandleWithTag: 5,
  ExCreateCallback: 0,
  ObReferenceObjectByName: 7,
  PsLookupProcessByProcessId: 1,
  PsLookupThreadByThreadId: 1,
};
/** Routines that return the object. */
const takenByResult = [
  'IoGetAttachedDeviceReference',
  'IoGetLowerDeviceObject',
  'IoGetDeviceAttachmentBaseRef',
  'PsReferencePrimaryToken',
  'PsReferenceImpersonationToken',
];

/** Follows the references that drivers take and drop themselves (those that the kernel takes for them are its own). */
export class ObjectReferences {
  private readonly nt: Nt;
  private readonly held: StoreMap<string, HeldReferences>;

  constructor(nt: Nt) {
    this.nt = nt;
    this.held = nt.stores.map('verifier/object-references');
    for (const [name, index] of Object.entries(takenByArgument)) {
      this.after(name, (image, call) => this.take(image, argument(call, index)));
    }
    for (const name of takenByResult) this.after(name, (image, _call, result) => this.take(image, result as Va));
    nt.events.on('referenceGiven', ({ object, image }) => {
      if (image !== undefined) this.take(image, object);
    });
    nt.events.on('referenceReturned', ({ object, image }) => {
      const holder = image === undefined ? this.holderOf(object) : image.index;
      if (holder !== undefined) this.drop(holder, object);
    });
    for (const [name, index] of Object.entries(takenThroughPointer)) {
      this.after(name, (image, call) => this.take(image, nt.memory.readVa(argument(call, index))));
    }
    for (const [name, index] of Object.entries(droppedByArgument)) {
      nt.entries.hook(name, {
        before: (_nt, call) => {
          this.drop(call.image?.index ?? 0, argument(call, index));
          return proceed;
        },
      });
    }
  }

  ofImage(imageIndex: number): HeldReferences[] {
    return [...this.held.values()].filter((held) => held.imageIndex === imageIndex);
  }

  private after(name: string, body: (image: KernelImage, call: Call, result: Outcome) => void): void {
    this.nt.entries.hook(name, {
      after: (_nt, call, result) => {
        const isStatus = this.nt.entries.routine(name)?.routine.returns === 'NTSTATUS';
        if (call.image !== undefined && (!isStatus || ntSuccess(Number(result)))) body(call.image, call, result);
      },
    });
  }

  private take({ index: imageIndex }: KernelImage, object: Va): void {
    const record = this.nt.objects.get(object);
    if (object === nullVa || record === undefined) return;
    const key = `${imageIndex} ${object}`;
    const origins = [...(this.held.get(key)?.origins ?? []), originOf(this.nt)];
    const objectName = record.name === undefined ? record.type : `${record.type} ${record.name}`;
    this.held.set(key, { imageIndex, object, objectName, origins });
  }

  private holderOf(object: Va): number | undefined {
    for (const held of this.held.values()) if (held.object === object) return held.imageIndex;
    return undefined;
  }

  private drop(imageIndex: number, object: Va): void {
    const key = `${imageIndex} ${object}`;
    const held = this.held.get(key);
    if (held === undefined) return;
    if (held.origins.length === 1) this.held.delete(key);
    else this.held.set(key, { ...held, origins: held.origins.slice(0, -1) });
  }
}

function argument(call: Call, index: number): Va {
  return vaFromHalves(call.low(index), call.high(index));
}
