import { ascii, INVALID_PARAMETER, le, NOT_FOUND, run, SUCCESS, some, step } from '../steps.mjs';

const count = (word, times) => step(`ioctl 0x222540 in=${ascii(word)} out=4`, SUCCESS, 4, le(times, 4));
const LIST = 'ioctl 0x222546';
const forget = (word, status = SUCCESS) => step(`ioctl 0x222548 in=${ascii(word)}`, status, 0);
const RESET = step('ioctl 0x22254C', SUCCESS, 0);

const write = (text) => step(`write ${ascii(text)}`, SUCCESS, text.length);
const word = (text, times) => ascii(text.padEnd(12, '\0')) + le(times, 4);

const rose = 'A rose is a rose is a rose.';
const rhyme = 'the quick brown fox jumps over the lazy dog, and the dog sleeps on';

const wordsSteps = (device) => [
  step(`open \\\\.\\${device}`),
  step(`${LIST} out=64`, SUCCESS, 0),
  write(rose),
  count('Rose', 3),
  count('is', 2),
  count('thorn', 0),
  step(`${LIST} out=48`, SUCCESS, 48, word('a', 3) + word('rose', 3) + word('is', 2)),
  write(rhyme),
  count('the', 3),
  count('dog', 2),
  step(`${LIST} out=32`, SUCCESS, 32, word('a', 3) + word('rose', 3)),
  forget('rose'),
  forget('rose', NOT_FOUND),
  forget('123', INVALID_PARAMETER),
  write('extraordinarily'),
  count('extraordinariness', 1),
  step('close'),
];

/** An empty table is started anew, then one with words in it, twice. */
const resetSteps = (device) => [
  step(`open \\\\.\\${device}`),
  RESET,
  write(rose),
  RESET,
  count('rose', 0),
  write('once more, once more'),
  count('more', 2),
  RESET,
  write('left for unload'),
  step('close'),
];

export const pair = {
  compiler: 'gcc',
  leaks: 'a generic table that is initialized again with elements in it: one `Word` each, allocated by a callback',
  seenWith: 'a plain run',
  leaky: [
    run('load', 'violation', [], { amounts: some }),
    run('words', 'clean', wordsSteps('LeakyLexicon')),
    run('reset', 'violation', resetSteps('LeakyLexicon')),
  ],
  clean: [
    run('load', 'clean'),
    run('words', 'clean', wordsSteps('CleanLexicon')),
    run('reset', 'clean', resetSteps('CleanLexicon')),
  ],
};
