/** Which modules were made of what: by the addresses of their units, by pages, frames and lines. */
import type { Va } from '../../base/va.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { Access, pageSize } from '../memory/layout.ts';
import type { TranslatedModule } from './translated-module.ts';
import { codeLineBytes, type Unit } from './unit.ts';

const none: ReadonlySet<TranslatedModule> = new Set();

/** The translated modules that count. */
export class TranslatedCode {
  private readonly memory: GuestMemory;
  private readonly modules = new Set<TranslatedModule>();
  /** Roots of units that can be entered. */
  private readonly entries = new Set<Va>();
  private readonly modulesOfPage = new Map<Va, Set<TranslatedModule>>();
  private readonly modulesOfFrame = new Map<number, Set<TranslatedModule>>();
  /** Lines of each frame that hold translated code; may name too many after something was removed. */
  private readonly linesOfFrame = new Map<number, Set<number>>();

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Notes what was made of units; of one alone at `stepAt` if it is a step, which is no entry. */
  add(units: readonly Unit[], unitIds: readonly number[], stepAt?: Va): TranslatedModule {
    const pages = new Set<Va>();
    for (const unit of units) for (const page of unit.pages) pages.add(page);
    const frames = new Map([...pages].map((page) => [page, this.executableFrame(page)]));
    const entries = stepAt === undefined ? units.map(({ root }) => root) : [];
    const module: TranslatedModule = { entries, stepAt, unitIds, pages, frames };
    this.modules.add(module);
    for (const va of entries) this.entries.add(va);
    for (const page of pages) addTo(this.modulesOfPage, page, module);
    for (const unit of units) {
      for (const line of unit.lines) {
        const at = line * codeLineBytes;
        const page = Math.floor(at / pageSize) * pageSize;
        const frame = frames.get(page as Va);
        if (frame !== undefined) addTo(this.linesOfFrame, frame, (at - page) / codeLineBytes);
      }
    }
    for (const frame of frames.values()) {
      if (frame === undefined) continue;
      addTo(this.modulesOfFrame, frame, module);
      this.memory.markCode(frame);
    }
    return module;
  }

  remove(module: TranslatedModule): void {
    this.modules.delete(module);
    for (const va of module.entries) this.entries.delete(va);
    for (const page of module.pages) removeFrom(this.modulesOfPage, page, module);
    for (const frame of module.frames.values()) {
      if (frame === undefined) continue;
      removeFrom(this.modulesOfFrame, frame, module);
      if (!this.modulesOfFrame.has(frame)) this.linesOfFrame.delete(frame);
    }
  }

  /** Whether a unit is rooted there. */
  hasEntry(va: Va): boolean {
    return this.entries.has(va);
  }

  /** Whether bytes of a frame (from `start` in it) have been translated. */
  hasBytes(frame: number, start: number, bytes: number): boolean {
    const lines = this.linesOfFrame.get(frame);
    if (lines === undefined) return false;
    for (let line = Math.floor(start / codeLineBytes); line * codeLineBytes < start + bytes; line++) {
      if (lines.has(line)) return true;
    }
    return false;
  }

  /** Whether anything in a frame has been translated. */
  hasFrame(frame: number): boolean {
    return this.modulesOfFrame.has(frame);
  }

  all(): ReadonlySet<TranslatedModule> {
    return this.modules;
  }

  ofFrame(frame: number): ReadonlySet<TranslatedModule> {
    return this.modulesOfFrame.get(frame) ?? none;
  }

  ofPage(page: Va): ReadonlySet<TranslatedModule> {
    return this.modulesOfPage.get(page) ?? none;
  }

  /** Whether a page of the module is mapped otherwise than when it was translated. */
  isStale(module: TranslatedModule): boolean {
    for (const [page, frame] of module.frames) if (this.executableFrame(page) !== frame) return true;
    return false;
  }

  private executableFrame(page: Va): number | undefined {
    const mapping = this.memory.mappingAt(page);
    return mapping && (mapping.flags & Access.Execute) !== 0 ? mapping.frame : undefined;
  }
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

function removeFrom<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
