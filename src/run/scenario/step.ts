/** The steps of a scenario: what is written on the command line, as data. */
import { PoolproofError } from '../../base/errors.ts';
import { Chance } from './chance.ts';

/** Input of a request: bytes, and handles that are named (`@e1`: eight bytes). */
export type InputPart = { readonly bytes: Uint8Array } | { readonly handleName: string };

/** What happens to the device, or to the system that it is in. */
export const deviceVerbs = [
  'start',
  'stop',
  'cancel-stop',
  'surprise-remove',
  'remove',
  'cancel-remove',
  'suspend',
  'resume',
] as const;

export type DeviceVerb = (typeof deviceVerbs)[number];

const isDeviceVerb = (verb: string): verb is DeviceVerb => (deviceVerbs as readonly string[]).includes(verb);

/** Something that is done to the plug-and-play device, or to the power of all. */
export interface DeviceStep {
  readonly verb: DeviceVerb;
  readonly text: string;
}

export const isDeviceStep = (act: { readonly verb: string }): act is DeviceStep => isDeviceVerb(act.verb);

export type Step =
  | { readonly verb: 'open'; readonly text: string; readonly path: string; readonly name: string | undefined }
  | { readonly verb: 'close'; readonly text: string; readonly target: string | undefined }
  | { readonly verb: 'cancel'; readonly text: string; readonly target: string | undefined }
  | {
      readonly verb: 'ioctl';
      readonly text: string;
      readonly target: string | undefined;
      readonly code: number;
      readonly input: readonly InputPart[];
      readonly outputBytes: number;
      /** What the output buffer holds before (METHOD_IN_DIRECT reads it); zeros behind it. */
      readonly outputContents: readonly InputPart[];
      readonly isAsync: boolean;
    }
  | {
      readonly verb: 'read';
      readonly text: string;
      readonly target: string | undefined;
      readonly bytes: number;
      /** In bytes from the beginning: ReadFile's OVERLAPPED offset. */
      readonly offset: number;
      readonly isAsync: boolean;
    }
  | {
      readonly verb: 'write';
      readonly text: string;
      readonly target: string | undefined;
      readonly input: readonly InputPart[];
      /** As of a read. */
      readonly offset: number;
      readonly isAsync: boolean;
    }
  | { readonly verb: 'event'; readonly text: string; readonly name: string | undefined }
  | { readonly verb: 'wait'; readonly text: string; readonly duration100ns: number }
  | DeviceStep
  | { readonly verb: 'interrupt'; readonly text: string; readonly isMessage: boolean | undefined }
  /** `driver`: a file name, with or without its extension; undefined for all. */
  | { readonly verb: 'unload'; readonly text: string; readonly driver: string | undefined };

/** One line a verb: what it takes and does. Help and documentation are made of this. */
export const stepForms: readonly { readonly form: string; readonly does: string }[] = [
  {
    form: '[NAME=]open PATH',
    does: 'opens \\\\.\\Device or \\Device\\Name; later steps act on the last handle or on NAME',
  },
  { form: 'ioctl [NAME] CODE [in=DATA] [out=BYTES] [outdata=DATA] [async]', does: 'sends a device control request' },
  { form: 'read [NAME] BYTES [at=OFFSET] [async]', does: 'reads at a byte offset, which is 0 without at=' },
  { form: 'write [NAME] DATA [at=OFFSET] [async]', does: 'writes, likewise' },
  { form: 'cancel [NAME]', does: 'cancels the pending requests of a handle' },
  { form: 'close [NAME]', does: 'closes a handle' },
  { form: 'NAME=event', does: 'makes an event; @NAME in DATA is its handle' },
  { form: 'wait TIME', does: 'lets virtual time pass: 100ms, 2s, 50us' },
  { form: 'unload [DRIVER]', does: 'unloads a driver, or all in reverse order; done at the end anyway' },
  { form: 'stop', does: 'plug and play: stops the device, as for new resources' },
  { form: 'start', does: 'plug and play: starts the device again; after a removal a new device arrives' },
  { form: 'surprise-remove', does: 'plug and play: the device is pulled out, and removed when it is closed' },
  { form: 'remove', does: 'plug and play: removes the device in order; done before the driver is unloaded anyway' },
  { form: 'cancel-stop', does: 'plug and play: asks whether the device can stop, and takes that back' },
  { form: 'cancel-remove', does: 'plug and play: asks whether the device can be removed, and takes that back' },
  {
    form: 'interrupt [line|message]',
    does: 'the device interrupts: the service routine that the driver connected runs',
  },
  {
    form: 'suspend',
    does: 'power: the system goes to sleep (S3), unless a driver refuses; while it sleeps, only wait and resume can follow',
  },
  { form: 'resume', does: 'power: the system wakes' },
];

/** Input and output of one request: more than a driver is ever given. */
const maximumBufferBytes = 64 * 1024 * 1024;

/** Parses one step as typed after `--do`. Throws PP5001. */
export function parseStep(text: string): Step {
  const trimmed = text.trim();
  const [, name, rest = ''] = /^(?:([A-Za-z_]\w*)=)?(.*)$/s.exec(trimmed) ?? [];
  const words = rest.split(/\s+/).filter((word) => word !== '');
  const verb = (words.shift() ?? '').toLowerCase();
  const fail = (expected: string): never => {
    throw new PoolproofError('PP5001', `step '${text}': ${expected}`);
  };
  if (name !== undefined && verb !== 'open' && verb !== 'event')
    fail(`only open and event can be named, not '${verb}'`);
  const isAsync = words[words.length - 1] === 'async';
  if (isAsync) {
    words.pop();
    if (verb !== 'ioctl' && verb !== 'read' && verb !== 'write') fail(`'async' goes with ioctl, read and write`);
  }
  switch (verb) {
    case 'open': {
      const path = words.join(' ');
      if (path === '') fail('expected a path, for example open \\\\.\\Name');
      return { verb, text: trimmed, path, name };
    }
    case 'event':
      if (words.length > 0) fail('event takes no words; name it: e1=event');
      return { verb, text: trimmed, name };
    case 'close':
    case 'cancel':
      if (words.length > 1) fail(`expected ${verb} [NAME]`);
      return { verb, text: trimmed, target: words[0] };
    case 'ioctl': {
      const target = takeName(words);
      const code =
        parseCount(words.shift(), 0xffff_ffff) ??
        fail('expected a control code, for example ioctl 0x222000 in=00 out=8');
      let input: readonly InputPart[] = [];
      let outputContents: readonly InputPart[] = [];
      let outputBytes = 0;
      for (const word of words) {
        if (word.startsWith('in=')) input = parseData(word.slice(3), fail);
        else if (word.startsWith('outdata=')) outputContents = parseData(word.slice(8), fail);
        else if (word.startsWith('out=')) {
          outputBytes =
            parseCount(word.slice(4), maximumBufferBytes) ??
            fail(`'${word}' is no number of bytes up to ${maximumBufferBytes}`);
        } else fail(`'${word}' is neither in=DATA, out=BYTES, outdata=DATA nor async`);
      }
      return { verb, text: trimmed, target, code, input, outputBytes, outputContents, isAsync };
    }
    case 'read': {
      const offset = takeOffset(words, fail);
      const target = takeName(words);
      const bytes =
        parseCount(words.shift(), maximumBufferBytes) ?? fail(`expected a number of bytes up to ${maximumBufferBytes}`);
      if (words.length > 0) fail(`'${words[0]}' is one word too many`);
      return { verb, text: trimmed, target, bytes, offset, isAsync };
    }
    case 'write': {
      const offset = takeOffset(words, fail);
      const data = words.pop() ?? fail('expected hexadecimal data, for example write 01020304');
      const target = takeName(words);
      if (words.length > 0) fail(`'${words[0]}' is one word too many`);
      return { verb, text: trimmed, target, input: parseData(data, fail), offset, isAsync };
    }
    case 'wait': {
      const duration100ns = parseDuration(words[0]) ?? fail('expected a time such as 100ms, 2s or 50us');
      if (words.length > 1) fail(`'${words[1]}' is one word too many`);
      return { verb, text: trimmed, duration100ns };
    }
    case 'interrupt': {
      const which = words.shift();
      if (words.length > 0 || ![undefined, 'line', 'message'].includes(which))
        fail('expected interrupt [line|message]');
      return { verb, text: trimmed, isMessage: which === undefined ? undefined : which === 'message' };
    }
    case 'unload':
      if (words.length > 1) fail(`'${words[1]}' is one word too many`);
      return { verb, text: trimmed, driver: words[0] };
    default:
      if (isDeviceVerb(verb)) return words.length > 0 ? fail(`${verb} takes no words`) : { verb, text: trimmed };
      return fail(
        verb === ''
          ? 'is empty'
          : `'${verb}' is no step; the steps are ${stepForms.map(({ form }) => form).join('; ')}`,
      );
  }
}

/** A handle's name: a word that starts with a letter. */
function takeName(words: string[]): string | undefined {
  return /^[A-Za-z_]\w*$/.test(words[0] ?? '') ? words.shift() : undefined;
}

/** `at=0x1000` at the end. */
function takeOffset(words: string[], fail: (expected: string) => never): number {
  const last = words.at(-1);
  if (last?.startsWith('at=') !== true) return 0;
  words.pop();
  return parseCount(last.slice(3), Number.MAX_SAFE_INTEGER) ?? fail(`'${last}' is no byte offset`);
}

function parseCount(word: string | undefined, maximum: number): number | undefined {
  if (word === undefined || !/^(0x[0-9a-f]+|\d+)$/i.test(word)) return undefined;
  const value = Number(word);
  return value <= maximum ? value : undefined;
}

function parseData(text: string, fail: (expected: string) => never): readonly InputPart[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      if (part.startsWith('@')) return { handleName: part.slice(1) };
      const [, noiseBytes, seed] = /^noise:(\d+)(?::(\d+))?$/i.exec(part) ?? [];
      if (noiseBytes !== undefined) {
        const bytes =
          parseCount(noiseBytes, maximumBufferBytes) ?? fail(`'${part}' is more than ${maximumBufferBytes}`);
        return { bytes: noise(bytes, Number(seed ?? 1)) };
      }
      const [, digits, times = '1'] = /^(?:0x)?((?:[0-9a-f]{2})*)(?:\*(\d+))?$/i.exec(part) ?? [];
      if (digits === undefined) {
        return fail(
          `'${part}' is neither hexadecimal bytes (two digits each; 00*8 repeats them) nor noise:BYTES nor @NAME`,
        );
      }
      const once = digits.match(/../g) ?? [];
      const count =
        parseCount(times, Math.floor(maximumBufferBytes / Math.max(1, once.length))) ??
        fail(`'${part}' is more than ${maximumBufferBytes} bytes`);
      const pattern = Uint8Array.from(once, (digit) => Number.parseInt(digit, 16));
      const bytes = new Uint8Array(pattern.length * count);
      for (let index = 0; index < count; index++) bytes.set(pattern, index * pattern.length);
      return { bytes };
    });
}

/** Bytes that look like none in particular, the same for the same seed. */
function noise(bytes: number, seed: number): Uint8Array {
  const chance = new Chance(seed);
  return Uint8Array.from({ length: bytes }, () => chance.byte());
}

function parseDuration(word: string | undefined): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(us|ms|s|m|h)$/.exec(word ?? '') ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const units: Readonly<Record<string, number>> = {
    us: 10,
    ms: 10_000,
    s: 10_000_000,
    m: 600_000_000,
    h: 36_000_000_000,
  };
  return Math.round(Number(amount) * (units[unit] as number));
}
