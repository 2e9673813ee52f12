/** What names in a session's expressions mean: the machine's symbols, registers and memory. */
import { vaToU64 } from '../base/va.ts';
import type { ExpressionScope } from './expression.ts';
import { readNumber } from './memory.ts';
import { pseudoRegister, readRegister } from './registers.ts';
import type { Session } from './session.ts';

/** Number of a `$t` register; undefined if it is none. */
export function temporaryIndex(name: string): number | undefined {
  const [, digits] = /^\$t(1?\d)$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

export function machineScope(session: Session): ExpressionScope {
  const { nt } = session.target;
  return {
    symbol: (name) => {
      const va = session.symbols.find(name);
      return va === undefined ? undefined : vaToU64(va);
    },
    register: (name) => {
      const temporary = temporaryIndex(name);
      if (temporary !== undefined) return session.temporaries[temporary];
      if (name.startsWith('$')) return pseudoRegister(nt, name, () => nt.currentStack()[1]);
      return readRegister(nt, name);
    },
    read: (address, bytes) => readNumber(nt, address, bytes),
  };
}
