/**
 * The two code pages of the played system (US English): ANSI 1252 and OEM 437. Both hold one byte for each character,
 * so every size is known from the length. A character that the page lacks becomes `?`; Windows tries a look-alike
 * first (`Ā` to `A`), which is left out.
 */
export interface CodePage {
  readonly number: number;
  decode(bytes: Uint8Array): string;
  encode(text: string): Uint8Array;
}

const windows1252High =
  '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ' +
  Array.from({ length: 0x60 }, (_, index) => String.fromCharCode(0xa0 + index)).join('');

const ibm437High =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
  '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

export const ansiCodePage: CodePage = singleByteCodePage(1252, windows1252High);
export const oemCodePage: CodePage = singleByteCodePage(437, ibm437High);

const substitute = 0x3f;

function singleByteCodePage(number: number, high: string): CodePage {
  const byteOf = new Map<number, number>();
  for (let index = 0; index < high.length; index++) byteOf.set(high.charCodeAt(index), 0x80 + index);
  return {
    number,
    decode: (bytes) => {
      let text = '';
      for (const byte of bytes) text += byte < 0x80 ? String.fromCharCode(byte) : high[byte - 0x80];
      return text;
    },
    encode: (text) => {
      const bytes = new Uint8Array(text.length);
      for (let index = 0; index < text.length; index++) {
        const unit = text.charCodeAt(index);
        bytes[index] = unit < 0x80 ? unit : (byteOf.get(unit) ?? substitute);
      }
      return bytes;
    },
  };
}
