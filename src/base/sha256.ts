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

function compress(state: Uint32Array, w: Uint32Array, view: DataView, offset: number): void {
  const rotate = (value: number, count: number): number => (value >>> count) | (value << (32 - count));
  const at = (list: Uint32Array, index: number): number => list[index] as number;
  for (let index = 0; index < 16; index++) w[index] = view.getUint32(offset + index * 4);
  for (let index = 16; index < 64; index++) {
    const early = at(w, index - 15);
    const late = at(w, index - 2);
    const s0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const s1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    w[index] = at(w, index - 16) + s0 + at(w, index - 7) + s1;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let index = 0; index < 64; index++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(roundConstants, index) + at(w, index)) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) state[index] = at(state, index) + value;
}
