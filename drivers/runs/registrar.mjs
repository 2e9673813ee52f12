import {
  ascii,
  BUFFER_TOO_SMALL,
  INVALID_PARAMETER,
  NAME_TOO_LONG,
  OBJECT_NAME_COLLISION,
  OBJECT_NAME_EXISTS,
  OBJECT_NAME_INVALID,
  OBJECT_NAME_NOT_FOUND,
  OBJECT_TYPE_MISMATCH,
  run,
  SUCCESS,
  some,
  step,
} from '../steps.mjs';

const id = '33221100554477668899aabbccddeeff';
const idText = '{00112233-4455-6677-8899-AABBCCDDEEFF}';
const otherId = '00'.repeat(16);

const add = (name, status = SUCCESS) => step(`ioctl 0x222600 in=${id}${ascii(name)}`, status, 0);
const check = (name, status = SUCCESS, its = id) => step(`ioctl 0x222604 in=${its}${ascii(name)}`, status, 0);
const find = (name, answer) =>
  step(`ioctl 0x222608 in=${id}${ascii(name)} out=64`, SUCCESS, answer.length, ascii(answer));
const alias = (name, status = SUCCESS) => step(`ioctl 0x22260C in=${id}${ascii(name)}`, status, 0);
const steps = (device, middle) => [step(`open \\\\.\\${device}`), ...middle, step('close')];

const named = [
  add('Pump'),
  add('valve \xe4'),
  check('PUMP'),
  find('pump', idText),
  alias('VALVE \xc4'),
  alias('Valve \xe4', OBJECT_NAME_EXISTS),
  find('valve \xe4', 'VALVE \xc4'),
  check('nobody', OBJECT_NAME_NOT_FOUND),
  add('x'.repeat(65), NAME_TOO_LONG),
  add('x'.repeat(64)),
  add('', INVALID_PARAMETER),
];
const badName = [add('tab\there', OBJECT_NAME_INVALID), check('a\\b\0c', OBJECT_NAME_INVALID)];
const twice = [add('pump'), add('Pump', OBJECT_NAME_COLLISION), add('PUMP', OBJECT_NAME_COLLISION)];
const otherIds = [add('pump'), check('pump', OBJECT_TYPE_MISMATCH, otherId)];
const noRoom = [add('pump'), step(`ioctl 0x222608 in=${id}${ascii('pump')} out=10`, BUFFER_TOO_SMALL, 0)];

export const pair = {
  compiler: 'gcc',
  leaks:
    'strings of the run-time library, where a comparison fails: a converted name, its folded form, an identifier as text, an ANSI answer',
  seenWith: 'a plain run; other identifiers, and no room: `--do` below',
  leaky: [
    run('load', 'violation', [], {
      amounts: (_, runs) => (runs.some((run) => ['bad-name', 'twice'].includes(run)) ? some() : null),
    }),
    run('named', 'clean', steps('LeakyRegistrar', named)),
    run('bad-name', 'violation', steps('LeakyRegistrar', badName)),
    run('twice', 'violation', steps('LeakyRegistrar', twice)),
    run('other-id', 'violation', steps('LeakyRegistrar', otherIds)),
    run('no-room', 'violation', steps('LeakyRegistrar', noRoom)),
  ],
  clean: [
    run('load', 'clean'),
    run('named', 'clean', steps('CleanRegistrar', named)),
    run('all', 'clean', steps('CleanRegistrar', [...badName, ...twice, ...otherIds.slice(1), ...noRoom.slice(1)])),
  ],
};
