/** What the built-in commands show, line by line, of drivers with DWARF and with a PDB, running and stopped for good. */
import { expect, it } from 'vitest';
import { type DebuggedMachine, debug, debugAt, driverFile, expectTranscript, transcriptAtEnd } from './transcript.ts';

const folder = import.meta.dirname;
const inventory = 'drivers/leaky-inventory/leaky-inventory.sys';
const beacon = 'drivers/clean-beacon/clean-beacon.sys';

/** In an allocation of the driver, from code that is inlined twice. */
const inAllocation = (): DebuggedMachine => debugAt([inventory], 'nt!ExAllocatePoolWithTag');
const inDispatch = (): DebuggedMachine => debugAt([beacon], 'clean_beacon!BeaconPnp');

it('k: stacks, inlined functions, arguments', async () => {
  const { type } = inAllocation();
  expectTranscript(folder, 'k', await type(['k', 'kb', 'kv 3', 'kc', 'kL', 'k 2', 'k = @rsp @rip 2', 'k 0', 'k x']));
});

it('k: after a bug check', async () => {
  const lines = ['k', '? @$bug_code', '? @$bug_param1', '? @$ra == poi(@rsp)'];
  expectTranscript(folder, 'k-after-bug-check', await transcriptAtEnd([inventory], [], lines));
});

it('k shows the frames that the kernel itself walks', () => {
  for (const { machine } of [inAllocation(), inDispatch()]) {
    const { nt } = machine;
    expect(nt.exceptions.frames(32).map(({ rip }) => rip)).toEqual(nt.currentStack());
  }
});

it('r: all, some, set', async () => {
  const { type, machine } = inDispatch();
  const lines = ['r', 'r rcx, eax, zf, cr8, cs', 'r rax=1234', 'r rax', 'r al=ff', 'r eax', 'r zf=1', 'r zf'];
  const more = ['r eax=5', 'r rax', 'r $t3=@rax+1', '? @$t3', 'r $t3', 'r cs=8', 'r nosuch', 'r cr8=2', 'r $ip=0'];
  expectTranscript(folder, 'r', await type([...lines, ...more]));
  expect(machine.nt.cpu.state.gpr(0)).toBe(5n);
});

it('r says so where the machine does not keep all flags', async () => {
  const { type } = debugAt([beacon], 'clean_beacon!BeaconPnp', [], { flagsLiveAtExit: false });
  expect(await type(['r'])).toContain('(Arithmetic flags may be those of an earlier instruction');
  expect(await inDispatch().type(['r'])).not.toContain('(Arithmetic flags');
});

it('what is set is what the machine goes on with', async () => {
  // BeaconPnp gets no request: the first access to it faults.
  const { type, machine } = inDispatch();
  await type(['r rdx=0']);
  machine.run();
  const end = machine.nt.end.value;
  expect(end?.kind === 'bug-check' && end.bugCheck.code).toBe(0x7e);
});

it('d: every format', async () => {
  const { type } = inDispatch();
  const code = '@rip';
  const formats = ['db', 'dw', 'dW', 'dd', 'dc', 'dq', 'dp', 'dyb', 'dyd'].map((name) => `${name} ${code} L8`);
  const lines = [
    `db ${code}`,
    '',
    'd',
    `db ${code} ${code}+13`,
    `dd/c2 ${code} L5`,
    'dps @rsp L3',
    'db 0 L3',
    'dd 0 L2',
  ];
  const texts = ['da 0', 'dq 0 L1', 'dps 0 L1', 'db fffff800`1000fff8 L10', 'dd 0 L', 'dd 1000 0', 'd/c'];
  expectTranscript(folder, 'd', await type([...lines, ...formats, ...texts]));
});

it('e: writes numbers and text, which is read again', async () => {
  const { type } = inDispatch();
  const at = '@rsp-100';
  const lines = [
    `eb ${at} 1 2 'A' 'B' ff -1`,
    `db ${at} L6`,
    `ew ${at} 1234 ffff`,
    `ed ${at}+4 ' cbA'`,
    `eq ${at}+8 fffff805\`12e41230`,
    `db ${at} L10`,
    `eza ${at} "say \\"hi\\""`,
    `da ${at}`,
    `ezu ${at} "wide"`,
    `du ${at}`,
    'eb 0 1',
    `eb ${at} 100`,
    `eb ${at}`,
    `ea ${at} open`,
  ];
  expectTranscript(folder, 'e', await type(lines));
});

it('e: code that is changed is run as it is then', async () => {
  // STATUS_UNSUCCESSFUL instead of the first instruction: mov eax, 0C0000001h; ret.
  const { type, machine } = inDispatch();
  await type(['eb clean_beacon!BeaconPower b8 1 0 0 c0 c3', 'eb @rip b8 1 0 0 c0 c3']);
  machine.run();
  expect(machine.report().verdict).not.toBe('clean');
});

it('ln, x, lm', async () => {
  const { type } = inDispatch();
  const near = ['ln @rip', 'ln @rip+5', 'ln clean_beacon', 'ln 0', 'ln clean_beacon!_imp_IofCallDriver'];
  const find = ['x clean_beacon!*Pnp', 'x /0 clean_beacon!Beacon*', 'x /1 *!beaconp*', 'x /2 clean_beacon!BeaconPn?'];
  const more = [
    'x /v clean_beacon!BeaconP*',
    'x /d clean_beacon!_imp_Io*Device',
    'x nosuch!*',
    'x /q a',
    'x',
    'x clean_beacon!x',
  ];
  const modules = ['lm', 'lm 1m', 'lmvm clean*', 'lm a @rip', 'lm m nosuch*', 'lm q'];
  expectTranscript(folder, 'symbols', await type([...near, ...find, ...more, ...modules]));
});

it('lm: what was unloaded, and symbols of other kinds', async () => {
  expectTranscript(
    folder,
    'lm-unloaded',
    await transcriptAtEnd([beacon], [], ['lm', 'lmv', 'lmo', 'ln fffff800`10001420']),
  );
  expectTranscript(
    folder,
    'lm-dwarf',
    await transcriptAtEnd([inventory], [], ['lm m leaky*', 'x leaky_inventory!Inv*']),
  );
});

it('u, ub, uf', async () => {
  const { type } = inDispatch();
  const lines = ['u', '', 'u @rip L3', 'u @rip @rip+6', 'u 0', 'ub @rip+14 L3', 'ub', 'uf clean_beacon!BeaconUnload'];
  expectTranscript(folder, 'u', await type([...lines, 'uf /c @rip', 'uf nt!ExFreePool', 'u nt!ExFreePool L1']));
});

it('?, .formats, .echo, remarks', async () => {
  const { type } = inDispatch();
  const lines = ['? 1234', '?-1', '? poi(@rsp) - @$ra', '? clean_beacon!BeaconPnp - clean_beacon', '? 1 +', '? xyz'];
  const more = [
    '.formats 1c407e62',
    '.formats 1d95d8a4b3f8a00',
    '.formats -1',
    '.echo a "b" c;.echo "d;e"',
    '* k; k',
    '$$ k; ? 1',
  ];
  expectTranscript(folder, 'evaluate', await type([...lines, ...more, 'nosuch 1', '!nosuch', '? 1;nosuch;? 2']));
});

it('.help knows every command, and what each does', async () => {
  const { type, session } = inDispatch();
  const all = await type(['.help']);
  for (const { name, summary } of session.commands) expect(all).toContain(`${name.padEnd(14)} ${summary}`);
  expect(await type(['?'])).toContain('db ');
  expectTranscript(folder, 'help', await type(['.help db', '.help lm', '.help nosuch']));
});

it('completion: commands, modules, symbols, registers', () => {
  const { session } = inDispatch();
  expect(session.complete('u').candidates).toEqual(['u', 'ub', 'uf']);
  expect(session.complete('k; .he')).toEqual({ start: 3, candidates: ['.help'] });
  expect(session.complete('db clean_beacon!BeaconP')).toEqual({
    start: 3,
    candidates: ['clean_beacon!BeaconPnp', 'clean_beacon!BeaconPower'],
  });
  expect(session.complete('db cle').candidates).toEqual(['clean_beacon!']);
  expect(session.complete('uf Beaconpn').candidates).toEqual(['BeaconPnp']);
  expect(session.complete('db @r1').candidates).toEqual(['@r10', '@r11', '@r12', '@r13', '@r14', '@r15']);
  expect(session.complete('r ef').candidates).toEqual(['efl']);
  expect(session.complete('.help .fo').candidates).toEqual(['.formats']);
  expect(session.complete('lm m ').candidates).toContain('nt');
  expect(session.complete('nosuch x').candidates).toEqual([]);
});

it('names made to be obeyed by terminals are shown as they are', async () => {
  const hostile = '\u001b[2Jevil\u202e.sys';
  const { session, type } = debug([], [], { drivers: [{ ...driverFile(inventory), name: hostile }] });
  const text = await type(['lm', 'lmv', 'x *!Inventory*', 'u \u001b', '? poi(']);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(text.replaceAll('u \u001b', '')).not.toMatch(/[\u001b\u202e]/);
  expect(text).toContain('_');
  expect(session.complete('db ').candidates.join('')).not.toContain('\u001b');
});

it.each(['drivers/leaky-ticker/leaky-ticker.sys', 'drivers/leaky-beacon/leaky-beacon.sys', 'test/drivers/seh/seh.sys'])(
  'frames are those that the kernel walks wherever %s stops',
  (path) => {
    const { machine } = debug([path]);
    const { nt } = machine;
    nt.debugControl.attach();
    nt.debugControl.slice = { calls: 11, instructions: 5000 };
    let stops = 0;
    let atDispatch = 0;
    while (machine.resume() === 'stopped') {
      stops++;
      if (nt.cpu.state.irql === 2) atDispatch++;
      const frames = nt.exceptions.frames(32);
      expect(frames.map(({ rip }) => rip)).toEqual(nt.currentStack());
      expect(frames.every(({ rsp }, index) => index === 0 || rsp > (frames[index - 1]?.rsp ?? 0))).toBe(true);
    }
    expect(stops).toBeGreaterThan(20);
    if (path.includes('ticker')) expect(atDispatch).toBeGreaterThan(5);
  },
);

it('what is only looked at leaves no trace in the report', async () => {
  const plain = debug([beacon]).machine.report();
  const { machine, type } = inDispatch();
  await type([
    'k',
    'kv',
    'r',
    'u',
    'uf',
    'db @rsp L200',
    'dps @rsp',
    'lm',
    'x *!*',
    'ln @rip',
    '? poi(@rsp)',
    'da 0',
    '.time',
  ]);
  machine.nt.debugControl.detach();
  expect(machine.resume()).toBe('over');
  const { host: _, ...looked } = machine.report();
  const { host: __, ...expected } = plain;
  expect(looked).toEqual(expected);
});

it('empty lines repeat what can be repeated, and nothing else', async () => {
  const { type } = inDispatch();
  expect(await type(['', '? 1', ''])).toBe(
    '0: kd> \n0: kd> ? 1\nEvaluate expression: 1 = 00000000`00000001\n0: kd> \n',
  );
});

it('k counts inlined calls as frames', async () => {
  const { type } = inAllocation();
  for (const count of [1, 2, 3, 4]) {
    const rows = (await type([`k ${count}`])).split('\n').filter((line) => /^[0-9a-f]{2} /.test(line));
    expect(rows).toHaveLength(count);
  }
});

it('k names a place as a stop there does, and makes no address up', async () => {
  const stepped = debug(['test/drivers/seh/seh.sys']);
  await stepped.session.execution.runToEntry();
  const [, name] = /\n(\S+):\n\S+ cc/.exec(await stepped.type(['g'])) ?? [];
  expect(name).toMatch(/^seh!sub_\w+\+0x/);
  expect(await stepped.type(['k 1'])).toContain(`     ${name}\n`);
  const lost = inDispatch();
  const shown = await lost.type(['k = @rsp 1234567812345678 1']);
  expect(shown).toContain('????????`????????\n');
});

it('an import slot leads to the routine that it is of', async () => {
  const { type } = inAllocation();
  const slot = 'poi(leaky_inventory!_imp_ExAllocatePoolWithTag)';
  const lined = (await type([`ln ${slot}`])).split('\n').slice(1);
  expect(lined).toContain('    nt!ExAllocatePoolWithTag');
  await type([`bp ${slot}`]);
  expect(await type(['bp nt!ExAllocatePoolWithTag'])).toContain('breakpoint 0 redefined');
  expect((await type(['bl'])).split('\n')).toHaveLength(3);
});

it('a routine of the kernel has no inside to stop in', async () => {
  const { type } = inAllocation();
  expect(await type(['bp nt!ExAllocatePoolWithTag+4'])).toContain('has nothing but its beginning');
  expect(await type(['bp nt'])).toContain('No code at');
  expect(await type(['bl'])).toBe('0: kd> bl\n');
});

it('lines of one element cannot be made wider, and the others can', async () => {
  const { type } = inDispatch();
  for (const name of ['dps', 'dqs', 'dyd']) {
    expect(await type([`${name} /c4 @rip L4`])).toContain(`${name} shows one element in a line`);
    expect(await type([`.help ${name}`])).not.toContain('/c');
  }
  expect((await type(['dq /c4 @rip L4'])).split('\n')[1]).toMatch(/^\S+ ( \w{8}`\w{8}){4}$/);
  expect(await type(['.help da'])).not.toContain('/c');
});

it('a display that has no end can be stopped', async () => {
  const { session, type } = inDispatch();
  let breaths = 0;
  session.host.breathe = (): Promise<void> => {
    if (++breaths === 2) session.breakIn();
    return Promise.resolve();
  };
  const lines = (await type(['dps @rsp L?100000'])).split('\n');
  expect(lines.slice(-2)).toEqual(['...terminating', '']);
  expect(lines.length).toBeLessThan(3000);
});
