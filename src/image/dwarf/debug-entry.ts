import type { Abbreviation } from './abbreviations.ts';
import type { AttributeSlot, UnitEncoding } from './attribute-forms.ts';
import { isConstantForm, isReferenceForm, readForm } from './attribute-forms.ts';
import { attributeOf } from './constants.ts';
import type { SectionCursor } from './section-cursor.ts';

const scratch: AttributeSlot = { form: 0, value: 0, length: 0 };

/** One debugging information entry, with those attributes that symbols need; an instance is reused for many entries. */
export class DebugEntry {
  offset = 0;
  tag = 0;
  hasChildren = false;
  /** Form 0 in these: the entry has no such attribute. */
  readonly name: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly linkageName: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly compDir: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly lowPc: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly highPc: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly ranges: AttributeSlot = { form: 0, value: 0, length: 0 };
  readonly location: AttributeSlot = { form: 0, value: 0, length: 0 };
  /** -1 in these: the entry has no such attribute, or one that is not a constant. */
  byteSize = -1;
  upperBound = -1;
  count = -1;
  callFile = -1;
  callLine = -1;
  language = -1;
  stmtList = -1;
  strOffsetsBase = -1;
  addrBase = -1;
  rnglistsBase = -1;
  /** Entry that this one completes: abstract origin or specification; -1 if none. */
  origin = -1;
  /** Entry of its type; -1 if none. */
  type = -1;

  /** Reads the attributes; the cursor stands behind the abbreviation code, and then at the next entry. */
  read(offset: number, shape: Abbreviation, cursor: SectionCursor, unit: UnitEncoding): void {
    this.offset = offset;
    this.tag = shape.tag;
    this.hasChildren = shape.hasChildren;
    this.#clear();
    const { names, forms, implicits } = shape;
    for (let i = 0; i < names.length; i++) {
      readForm(cursor, forms[i] ?? 0, implicits[i] ?? 0, unit, scratch);
      this.#take(names[i] ?? 0);
    }
  }

  #take(name: number): void {
    switch (name) {
      case attributeOf.name:
        copy(this.name);
        return;
      case attributeOf.linkageName:
      case attributeOf.mipsLinkageName:
        copy(this.linkageName);
        return;
      case attributeOf.compDir:
        copy(this.compDir);
        return;
      case attributeOf.lowPc:
        copy(this.lowPc);
        return;
      case attributeOf.highPc:
        copy(this.highPc);
        return;
      case attributeOf.ranges:
        copy(this.ranges);
        return;
      case attributeOf.location:
        copy(this.location);
        return;
      case attributeOf.abstractOrigin:
      case attributeOf.specification:
        this.origin = reference();
        return;
      case attributeOf.type:
        this.type = reference();
        return;
      case attributeOf.byteSize:
        this.byteSize = constant();
        return;
      case attributeOf.upperBound:
        this.upperBound = constant();
        return;
      case attributeOf.count:
        this.count = constant();
        return;
      case attributeOf.callFile:
        this.callFile = constant();
        return;
      case attributeOf.callLine:
        this.callLine = constant();
        return;
      case attributeOf.language:
        this.language = constant();
        return;
      // Before DWARF 4 section offsets are written as plain numbers.
      case attributeOf.stmtList:
        this.stmtList = scratch.value;
        return;
      case attributeOf.strOffsetsBase:
        this.strOffsetsBase = scratch.value;
        return;
      case attributeOf.addrBase:
      case attributeOf.gnuAddrBase:
        this.addrBase = scratch.value;
        return;
      case attributeOf.rnglistsBase:
        this.rnglistsBase = scratch.value;
        return;
    }
  }

  #clear(): void {
    this.name.form = 0;
    this.linkageName.form = 0;
    this.compDir.form = 0;
    this.lowPc.form = 0;
    this.highPc.form = 0;
    this.ranges.form = 0;
    this.location.form = 0;
    this.location.length = 0;
    this.byteSize = -1;
    this.upperBound = -1;
    this.count = -1;
    this.callFile = -1;
    this.callLine = -1;
    this.language = -1;
    this.stmtList = -1;
    this.strOffsetsBase = -1;
    this.addrBase = -1;
    this.rnglistsBase = -1;
    this.origin = -1;
    this.type = -1;
  }
}

/** Moves the cursor over an entry's attributes. */
export function skipEntry(shape: Abbreviation, cursor: SectionCursor, unit: UnitEncoding): void {
  const { forms } = shape;
  for (let i = 0; i < forms.length; i++) readForm(cursor, forms[i] ?? 0, 0, unit, scratch);
}

function copy(to: AttributeSlot): void {
  to.form = scratch.form;
  to.value = scratch.value;
  to.length = scratch.length;
}

function reference(): number {
  return isReferenceForm(scratch.form) ? scratch.value : -1;
}

function constant(): number {
  return isConstantForm(scratch.form) && scratch.value >= 0 ? scratch.value : -1;
}
