/** A machine as the debugger wants it. */
import type { Target, TargetStep } from '../debugger/target.ts';
import type { KernelImage } from '../nt/mm/kernel-image.ts';
import { statusText } from '../nt/ntstatus.ts';
import type { Machine } from './machine.ts';
import { buildReport } from './report/build.ts';
import { activityAt } from './report/leak-origin.ts';
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
    resume: () => machine.resume(),
    get isOver() {
      return machine.life.state.isOver || machine.nt.end.value !== undefined;
    },
    get steps() {
      return stepsOf(machine);
    },
    get outcome() {
      return verdictLine(buildReport(machine));
    },
    ...(readSource && {
      readSource: (file: string) => readSource(file)?.text.split(/\r\n|\n|\r/),
    }),
  };
}

/** What stands in the plan for steps that are not known yet. */
const unknownSteps: readonly string[] = ['tour', 'tour-sequel', 'prompt'];

function stepsOf({ life, drivers }: Machine): TargetStep[] {
  const { state } = life;
  const steps: TargetStep[] = [];
  for (const [index, act] of state.plan.entries()) {
    const isUnknown = unknownSteps.includes(act.verb);
    const { step, name } = isUnknown
      ? { step: null, name: 'further steps, which depend on what the driver does' }
      : activityAt(index, state, drivers);
    const isCurrent = index === state.index && !state.isOver;
    const result = step === null || index >= state.index ? undefined : state.results[step - 1];
    const before = steps.at(-1);
    // The end of a process has many acts.
    if (step === null && before?.number === null && before.name === name) {
      if (isCurrent) steps[steps.length - 1] = { ...before, isCurrent };
      continue;
    }
    steps.push({ number: step, isUnknown, name, isCurrent, status: result && statusText(result.status) });
  }
  return steps;
}
