/** Which of the two exceptions a divide error is: Windows decodes the instruction and looks at the divisor. */
import { type Va, vaAdd, vaFromU64 } from '../../base/va.ts';
import { GuestFault } from '../../engine/memory/guest-fault.ts';
import type { Nt } from '../nt.ts';
import { STATUS_INTEGER_DIVIDE_BY_ZERO, STATUS_INTEGER_OVERFLOW } from '../ntstatus.ts';

const longestInstruction = 15;

/** STATUS_INTEGER_OVERFLOW if the divisor of the `div` or `idiv` at `rip` is not zero. */
export function divideErrorStatus(nt: Nt, rip: Va): number {
  try {
    return divisorOf(nt, rip) === 0n ? STATUS_INTEGER_DIVIDE_BY_ZERO : STATUS_INTEGER_OVERFLOW;
  } catch (thrown) {
    if (thrown instanceof GuestFault) return STATUS_INTEGER_DIVIDE_BY_ZERO;
    throw thrown;
  }
}

/** The operand of F6 /6, /7 or F7 /6, /7 (SDM volume 2, 2.1.5 and 2.2.1). 0 for other instructions. */
function divisorOf(nt: Nt, rip: Va): bigint {
  const { memory, cpu } = nt;
  const code = (index: number): number => memory.readU8(vaAdd(rip, index));
  let at = 0;
  let rex = 0;
  let bytes = 4;
  let usesGs = false;
  for (; at < longestInstruction; at++) {
    const byte = code(at);
    if (byte === 0x66) bytes = 2;
    else if (byte === 0x65) usesGs = true;
    else if (byte >= 0x40 && byte <= 0x4f) rex = byte;
    else if (byte !== 0xf2 && byte !== 0xf3 && byte !== 0x2e && byte !== 0x3e && byte !== 0x67) break;
  }
  const opcode = code(at);
  if (opcode !== 0xf6 && opcode !== 0xf7) return 0n;
  if (opcode === 0xf6) bytes = 1;
  else if ((rex & 8) !== 0) bytes = 8;
  const modrm = code(at + 1);
  const mode = modrm >> 6;
  const low = modrm & 7;
  const register = (index: number): bigint => cpu.state.gpr(index);
  const mask = (1n << BigInt(bytes * 8)) - 1n;
  const base = (index: number): number => index | ((rex & 1) << 3);
  if (mode === 3) {
    if (bytes === 1 && rex === 0 && low >= 4) return (register(low - 4) >> 8n) & 0xffn;
    return register(base(low)) & mask;
  }
  let next = at + 2;
  let address = usesGs ? BigInt(cpu.state.gsBase) : 0n;
  const displacement = (size: number): bigint =>
    size === 1 ? BigInt.asIntN(8, BigInt(code(next))) : BigInt(memory.readI32(vaAdd(rip, next)));
  if (low === 4) {
    const sib = code(next++);
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index !== 4) address += register(index) << BigInt(sib >> 6);
    if ((sib & 7) === 5 && mode === 0) address += displacement(4);
    else address += register(base(sib & 7));
  } else if (low === 5 && mode === 0) {
    address += BigInt(rip) + BigInt(next + 4) + displacement(4);
  } else {
    address += register(base(low));
  }
  if (mode === 1) address += displacement(1);
  else if (mode === 2) address += displacement(4);
  const va = vaFromU64(BigInt.asUintN(64, address));
  return (
    (bytes === 8
      ? memory.readU64(va)
      : BigInt(bytes === 4 ? memory.readU32(va) : bytes === 2 ? memory.readU16(va) : memory.readU8(va))) & mask
  );
}
