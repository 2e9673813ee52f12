/** SHA-256 (FIPS 180-4); small and synchronous, for identifying files in Node and browsers alike. */

const roundConstants = new Uint32Array(64);
const initialState = new Uint32Array(8);

/** First 32 bits of the fractional part of a root of the n-th prime. */
function fillConstants(): void {
  let found = 0;
  for (let candidate = 2; found < 64; candidate++) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) isPrime = false;
    if (!isPrime) continue;
    if (found < 8) initialState[found] = fraction(Math.sqrt(candidate));
    roundConstants[found] = fraction(Math.cbrt(candidate));
    found++;
  }
}

function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * 0x1_0000_0000);
}

/** The digest as 64 hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  if (initialState[0] === 0) fillConstants();
  const state = initialState.slice();
  const paddedBytes = Math.ceil((bytes.length + 9) / 64) * 64;
  const padded = new Uint8Array(paddedBytes);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(paddedBytes - 8, Math.floor(bytes.length / 0x2000_0000));
  view.setUint32(paddedBytes - 4, (bytes.length * 8) >>> 0);
  const words = new Uint32Array(64);
  for (let offset = 0; offset < paddedBytes; offset += 64) compress(state, words, view, offset);
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('');
}

/** Plain operations only: a file is hashed once, in code that the host has hardly had time to optimise. */
function compress(state: Uint32Array, w: Uint32Array, view: DataView, offset: number): void {
  for (let index = 0; index < 16; index++) w[index] = view.getUint32(offset + index * 4);
  for (let index = 16; index < 64; index++) {
    const early = w[index - 15] as number;
    const late = w[index - 2] as number;
    const s0 = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
    const s1 = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
    w[index] = ((w[index - 16] as number) + s0 + (w[index - 7] as number) + s1) | 0;
  }
  let a = (state[0] as number) | 0;
  let b = (state[1] as number) | 0;
  let c = (state[2] as number) | 0;
  let d = (state[3] as number) | 0;
  let e = (state[4] as number) | 0;
  let f = (state[5] as number) | 0;
  let g = (state[6] as number) | 0;
  let h = (state[7] as number) | 0;
  for (let index = 0; index < 64; index++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (roundConstants[index] as number) + (w[index] as number)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
  state[4] = (state[4] as number) + e;
  state[5] = (state[5] as number) + f;
  state[6] = (state[6] as number) + g;
  state[7] = (state[7] as number) + h;
}
