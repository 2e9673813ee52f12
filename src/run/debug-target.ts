/** A machine as the debugger wants it. */
import type { Target } from '../debugger/target.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import type { Machine } from './machine.ts';
import { buildReport } from './report/build.ts';
import type { ReadSource } from './report/source-excerpt.ts';
import { verdictLine } from './report/text.ts';

/** `readSource` gives the text of source files. */
export function debugTarget(machine: Machine, readSource?: ReadSource): Target {
  const { nt, choice, poolTracking, dmaChecking } = machine;
  const current = (image: KernelImage): KernelImage => nt.images.byIndex(image.index) ?? image;
  return {
    nt,
    options: choice,
    poolTracking,
    dmaChecking,
    get callCounts() {
      return machine.callCounters.counts;
    },
    get verifiedImages() {
      return machine.verified.map(({ image }) => current(image));
    },
    symbolsOf: (image) => {
      const driver = machine.drivers.find((one) => one.image.index === image.index);
      return driver && machine.symbolsOf(driver);
    },
    resume: () => {
      machine.run();
      return 'over';
    },
    get outcome() {
      return verdictLine(buildReport(machine));
    },
    ...(readSource && {
      readSource: (file: string) => readSource(file)?.text.split(/\r\n|\n|\r/),
    }),
  };
}
