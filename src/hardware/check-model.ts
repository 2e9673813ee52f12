import type { DeviceModel, DeviceRange } from './device-model.ts';

const isPowerOfTwo = (value: number): boolean =>
  Number.isInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
const mostRegisters = 6;

function rangeProblem({ type, bytes, is64Bit }: DeviceRange): string | undefined {
  if (type === 'port') {
    if (is64Bit === true) return 'ports have no 64-bit addresses';
    return isPowerOfTwo(bytes) && bytes >= 4 && bytes <= 256 ? undefined : 'a range of ports has 4, 8, … 256 bytes';
  }
  // A range that is mapped takes memory of the machine, page by page.
  const isGood = isPowerOfTwo(bytes) && bytes >= 16 && bytes <= 0x400_0000;
  return isGood ? undefined : 'a range of memory has a power of two of bytes, 16 to 64 MB';
}

/** What is wrong with a model of somebody's own, so that no machine can be made of it; undefined if nothing is. */
export function modelProblem({ name, ranges, interrupts = {}, state = {}, pci }: DeviceModel): string | undefined {
  if (!/^[a-z0-9-]+$/.test(name)) return 'its name has other characters than small letters, digits and dashes';
  const isWord = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 0xffff;
  if (!isWord(pci.vendor) || !isWord(pci.device)) return 'vendor and device are numbers of 16 bits';
  const { messages = 0 } = interrupts;
  if (messages !== 0 && (!isPowerOfTwo(messages) || messages > 32)) return 'it has 0, 1, 2, 4, 8, 16 or 32 messages';
  if (ranges.reduce((sum, range) => sum + (range.is64Bit === true ? 2 : 1), 0) > mostRegisters) {
    return 'its ranges need more than six base address registers';
  }
  const sizes = [...(state.memory ?? []), (state.numbers ?? 0) + 1];
  if (!sizes.every((size) => Number.isInteger(size) && size > 0))
    return 'its state has sizes that are no whole numbers';
  return ranges.map(rangeProblem).find((problem) => problem !== undefined);
}
