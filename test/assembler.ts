/**
 * A small assembler for tests: masm-like lines to machine code, by trying the encodings that iced knows.
 *
 *   start:  mov eax, [rcx+rdx*4+10h]
 *           add byte ptr [rsi], 1
 *           lock cmpxchg [r8], r9
 *           jne start
 */
import {
  BlockEncoder,
  BlockEncoderOptions,
  Code,
  Decoder,
  DecoderOptions,
  Encoder,
  Instruction,
  Register,
  RepPrefixKind,
} from 'iced-x86';

interface Parsed {
  readonly kind: 'register' | 'memory' | 'immediate' | 'label';
  readonly register: Register;
  readonly memory?: { base: Register; index: Register; scale: number; displacement: bigint; segment: Register };
  readonly bits: number;
  readonly value: bigint;
  readonly name: string;
}

export interface Assembled {
  readonly bytes: Uint8Array;
  readonly labels: ReadonlyMap<string, number>;
}

const sizes: Readonly<Record<string, number>> = { byte: 8, word: 16, dword: 32, qword: 64, xmmword: 128 };

/** Assembles lines for an address (a signed number as `Va`). Labels are offsets from it. `db 1, 2` puts bytes. */
export function assemble(source: string, at = 0): Assembled {
  const instructions: { instruction: Instruction; line: string }[] = [];
  const labelIndex = new Map<string, number>();
  const lines = source.split('\n').flatMap((line) => {
    let rest = line.replace(/;.*/, '').trim();
    const parts: string[] = [];
    for (let match = /^([A-Za-z_.$]\w*):\s*/.exec(rest); match; match = /^([A-Za-z_.$]\w*):\s*/.exec(rest)) {
      parts.push(`${match[1]}:`);
      rest = rest.slice(match[0].length);
    }
    if (rest) parts.push(rest);
    return parts;
  });
  let count = 0;
  for (const line of lines) {
    if (line.endsWith(':')) labelIndex.set(line.slice(0, -1), count);
    else count++;
  }
  const idOf = (index: number): bigint => 0x1_0000n + BigInt(index);
  for (const line of lines) {
    if (line.endsWith(':')) continue;
    const instruction = parseLine(line, labelIndex, idOf);
    instruction.ip = idOf(instructions.length);
    instructions.push({ instruction, line });
  }
  const encoder = new BlockEncoder(64, BlockEncoderOptions.None);
  for (const { instruction } of instructions) encoder.add(instruction);
  const bytes = encoder.encode(BigInt.asUintN(64, BigInt(at)));
  encoder.free();
  // The encoder does not tell where it put each instruction.
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const offsets = [0];
  for (const { instruction } of instructions) {
    const start = offsets[offsets.length - 1] as number;
    decoder.position = start;
    offsets.push(
      start + (instruction.code === Code.DeclareByte ? instruction.declareDataLength : decoder.decode().length),
    );
    instruction.free();
  }
  decoder.free();
  const labels = new Map([...labelIndex].map(([name, index]) => [name, offsets[index] ?? bytes.length]));
  return { bytes, labels };
}

const codesOfMnemonic = new Map<string, { code: Code; tokens: string[] }[]>();
for (const [name, code] of Object.entries(Code)) {
  if (typeof code !== 'number' || /^(VEX|EVEX|XOP|MVEX|D3NOW|KNC|Push_imm16|Pushw_imm8)/.test(name)) continue;
  const [mnemonic = '', ...tokens] = name.split('_');
  const key = mnemonic.toLowerCase();
  const list = codesOfMnemonic.get(key);
  if (list) list.push({ code, tokens });
  else codesOfMnemonic.set(key, [{ code, tokens }]);
}

const probe = new Encoder(64);

function parseLine(line: string, labels: ReadonlyMap<string, number>, idOf: (index: number) => bigint): Instruction {
  const words = line.trim().split(/\s+/);
  let rep = RepPrefixKind.None;
  let lock = false;
  while (words[0] && /^(rep|repe|repz|repne|repnz|lock)$/i.test(words[0])) {
    const prefix = words.shift()?.toLowerCase() ?? '';
    if (prefix === 'lock') lock = true;
    else rep = prefix.startsWith('repn') ? RepPrefixKind.Repne : RepPrefixKind.Repe;
  }
  const mnemonic = (words.shift() ?? '').toLowerCase();
  const text = words.join(' ');
  if (mnemonic === 'db') {
    return Instruction.createDeclareByte(
      Uint8Array.from(text.split(',').map((part) => Number(parseNumber(part.trim())))),
    );
  }
  const operands = text === '' ? [] : text.split(',').map((part) => parseOperand(part.trim(), labels, idOf));
  const candidates = (aliases[mnemonic] ?? [mnemonic]).flatMap((name) => codesOfMnemonic.get(name) ?? []);
  let best: { length: number; instruction: Instruction } | undefined;
  for (const { code, tokens } of candidates) {
    const instruction = build(code, tokens, operands, rep);
    if (!instruction) continue;
    if (lock) instruction.hasLockPrefix = true;
    if (rep === RepPrefixKind.Repe) instruction.hasRepPrefix = true;
    if (rep === RepPrefixKind.Repne) instruction.hasRepnePrefix = true;
    try {
      const length = operands[0]?.kind === 'label' ? (tokens.includes('rel32') ? 1 : 2) : probe.encode(instruction, 0n);
      probe.takeBuffer();
      if (!best || length < best.length) {
        best?.instruction.free();
        best = { length, instruction };
        continue;
      }
    } catch {
      probe.takeBuffer();
    }
    instruction.free();
  }
  if (!best) throw new Error(`cannot assemble: ${line}`);
  return best.instruction;
}

const aliases: Readonly<Record<string, readonly string[]>> = {
  jz: ['je'],
  jnz: ['jne'],
  jc: ['jb'],
  jnc: ['jae'],
  ret: ['retnq'],
  push: ['push', 'pushq'],
  nop: ['nopd'],
};

const stringCodes: Readonly<Record<string, true>> = {
  movsb: true,
  movsw: true,
  movsd: true,
  movsq: true,
  stosb: true,
  stosw: true,
  stosd: true,
  stosq: true,
  lodsb: true,
  lodsw: true,
  lodsd: true,
  lodsq: true,
  scasb: true,
  scasw: true,
  scasd: true,
  scasq: true,
  cmpsb: true,
  cmpsw: true,
  cmpsd: true,
  cmpsq: true,
};

function build(
  code: Code,
  tokens: string[],
  operands: readonly Parsed[],
  _rep: RepPrefixKind,
): Instruction | undefined {
  const name = Code[code] ?? '';
  const base = name.split('_')[0]?.toLowerCase() ?? '';
  if (stringCodes[base] && operands.length === 0) return buildString(base);
  const suffix = tokens[tokens.length - 1];
  if (base === 'jmp' || base === 'call' || base.startsWith('j') || base.startsWith('loop')) {
    if (operands[0]?.kind === 'label') {
      const is64 = /rel(8|32)_64(_RCX)?$/.test(name);
      return is64 && suffix !== 'ECX' ? Instruction.createBranch(code, operands[0].value) : undefined;
    }
  }
  const wanted = tokens.filter((token) => !/^(64|32|16)$/.test(token));
  if (wanted.length !== operands.length) return undefined;
  for (const [index, token] of wanted.entries()) if (!matches(token, operands[index] as Parsed)) return undefined;
  const instruction = Instruction.create(code);
  for (const [index, operand] of operands.entries()) {
    const token = wanted[index] ?? '';
    if (operand.kind === 'register') {
      instruction.setOpKind(index, 0);
      instruction.setOpRegister(index, operand.register);
    } else if (operand.kind === 'memory' && operand.memory) {
      const { base: memoryBase, index: memoryIndex, scale, displacement, segment } = operand.memory;
      instruction.setOpKind(index, 24);
      instruction.memoryBase = memoryBase;
      instruction.memoryIndex = memoryIndex;
      instruction.memoryIndexScale = scale;
      const isAbsolute = memoryBase === Register.None;
      instruction.memoryDisplSize = isAbsolute ? 8 : displacement === 0n ? 0 : 1;
      instruction.memoryDisplacement = BigInt.asUintN(64, displacement);
      instruction.segmentPrefix = segment;
    } else {
      const opKind = immediateKind(token, name);
      if (opKind === undefined || !fits(operand.value, opKind)) {
        instruction.free();
        return undefined;
      }
      instruction.setOpKind(index, opKind);
      switch (opKind) {
        case 6:
          instruction.setImmediateU32(index, Number(BigInt.asUintN(8, operand.value)));
          break;
        default:
          instruction.setImmediateI64(index, operand.value);
      }
    }
  }
  return instruction;
}

function buildString(base: string): Instruction {
  const make = {
    movsb: Instruction.createMovsb,
    movsw: Instruction.createMovsw,
    movsd: Instruction.createMovsd,
    movsq: Instruction.createMovsq,
    lodsb: Instruction.createLodsb,
    lodsw: Instruction.createLodsw,
    lodsd: Instruction.createLodsd,
    lodsq: Instruction.createLodsq,
    cmpsb: Instruction.createCmpsb,
    cmpsw: Instruction.createCmpsw,
    cmpsd: Instruction.createCmpsd,
    cmpsq: Instruction.createCmpsq,
  }[base];
  if (make) return make(64, Register.None, RepPrefixKind.None);
  const simple = {
    stosb: Instruction.createStosb,
    stosw: Instruction.createStosw,
    stosd: Instruction.createStosd,
    stosq: Instruction.createStosq,
    scasb: Instruction.createScasb,
    scasw: Instruction.createScasw,
    scasd: Instruction.createScasd,
    scasq: Instruction.createScasq,
  }[base];
  if (!simple) throw new Error(base);
  return simple(64, RepPrefixKind.None);
}

function immediateKind(token: string, name: string): number | undefined {
  if (token === 'imm8') {
    if (
      /^(Shl|Shr|Sar|Sal|Rol|Ror|Rcl|Rcr|Shld|Shrd|Bt|Bts|Btr|Btc|Int)_/.test(name) ||
      /8_imm8$|AL_imm8$|xmm/.test(name)
    )
      return 6;
    return /64|Pushq/.test(name) ? 13 : /32/.test(name) ? 12 : 11;
  }
  if (token === 'imm16') return 8;
  if (token === 'imm32') return /64|RAX|Pushq/.test(name) ? 14 : 9;
  if (token === 'imm64') return 10;
  if (token === '1') return 6;
  return undefined;
}

function fits(value: bigint, opKind: number): boolean {
  if (opKind === 6) return value >= -128n && value < 256n;
  if (opKind >= 11 && opKind <= 13) return value >= -128n && value < 128n;
  if (opKind === 14) return value >= -0x8000_0000n && value < 0x8000_0000n;
  if (opKind === 9) return value >= -0x8000_0000n && value < 0x1_0000_0000n;
  if (opKind === 8) return value >= -0x8000n && value < 0x1_0000n;
  return true;
}

function matches(token: string, operand: Parsed): boolean {
  if (operand.kind === 'immediate') return /^imm/.test(token) || (token === '1' && operand.value === 1n);
  if (operand.kind === 'label') return false;
  if (operand.kind === 'register') {
    if (token === operand.name.toUpperCase()) return true;
    if (operand.bits === 128) return /^xmm/.test(token);
    if (operand.bits === 0) return new RegExp(`^(${operand.name.replace(/\d+$/, '')}|sreg)$`).test(token);
    return (
      token === `r${operand.bits}` ||
      token === `rm${operand.bits}` ||
      (/^r(32|64)m(8|16)$/.test(token) && token.startsWith(`r${operand.bits}`))
    );
  }
  const size = /^(?:rm|m|xmmm|r\d+m|mem)(\d*)/.exec(token);
  if (!size) return false;
  return operand.bits === 0 || size[1] === '' || Number(size[1]) === operand.bits;
}

function parseOperand(text: string, labels: ReadonlyMap<string, number>, idOf: (index: number) => bigint): Parsed {
  const none = { register: Register.None, bits: 0, value: 0n, name: text };
  const memory = /^(?:(\w+)\s+ptr\s+)?(?:(gs|fs):)?\[(.*)\]$/i.exec(text);
  if (memory) {
    const segment = memory[2]?.toLowerCase() === 'gs' ? Register.GS : memory[2] ? Register.FS : Register.None;
    return {
      ...none,
      kind: 'memory',
      bits: sizes[memory[1]?.toLowerCase() ?? ''] ?? 0,
      memory: { ...parseAddress(memory[3] ?? '', labels, idOf), segment },
    };
  }
  const register = registerNamed(text);
  if (register !== undefined) return { ...none, kind: 'register', register, bits: bitsOf(register), name: text };
  const label = labels.get(text);
  if (label !== undefined) return { ...none, kind: 'label', value: idOf(label) };
  return { ...none, kind: 'immediate', value: parseNumber(text) };
}

function parseAddress(text: string, labels: ReadonlyMap<string, number>, idOf: (index: number) => bigint) {
  const result = { base: Register.None as Register, index: Register.None as Register, scale: 1, displacement: 0n };
  for (const [, sign, term = ''] of text.replace(/\s/g, '').matchAll(/([+-]?)([^+-]+)/g)) {
    const [name = '', scale] = term.split('*');
    const register = registerNamed(name);
    const label = labels.get(name);
    if (label !== undefined) {
      result.base = Register.RIP;
      result.displacement = idOf(label);
    } else if (register === undefined) result.displacement += (sign === '-' ? -1n : 1n) * parseNumber(term);
    else if (scale !== undefined || result.base !== Register.None) {
      result.index = register;
      result.scale = Number(scale ?? 1);
    } else result.base = register;
  }
  return result;
}

function registerNamed(text: string): Register | undefined {
  const upper = text.toUpperCase();
  const spelled = /^R\d+B$/.test(upper) ? upper.replace('B', 'L') : upper;
  return /^[A-Z]\w*$/.test(spelled) ? (Register as unknown as Record<string, Register>)[spelled] : undefined;
}

function bitsOf(register: Register): number {
  if (register >= Register.XMM0 && register < Register.XMM0 + 16) return 128;
  if (register >= Register.RAX && register <= Register.R15) return 64;
  if (register >= Register.EAX && register < Register.RAX) return 32;
  if (register >= Register.AX && register < Register.EAX) return 16;
  return register >= Register.AL && register < Register.AX ? 8 : 0;
}

function parseNumber(text: string): bigint {
  const match = /^(-?)(?:0x([0-9a-f]+)|([0-9][0-9a-f]*)h|(\d+))$/i.exec(text);
  if (!match) throw new Error(`not a number, register or label: ${text}`);
  const digits = match[4] !== undefined ? BigInt(match[4]) : BigInt(`0x${match[2] ?? match[3]}`);
  return match[1] ? -digits : digits;
}
