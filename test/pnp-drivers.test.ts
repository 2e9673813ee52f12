/** Plug-and-play drivers end to end: test/drivers/pnp-function and test/drivers/pnp-bus. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type MachineOptions, parseStep, type Report, verify } from '../src/index.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`drivers/${name}`, import.meta.url));
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(fileOf(`${name}/${name}.sys`)));

function run(name: string, steps: readonly string[] | undefined, options: Partial<MachineOptions> = {}): Report {
  const drivers = [{ name: `${name}.sys`, bytes: bytesOf(name) }];
  return verify({ drivers, steps: steps?.map(parseStep), ...options });
}

const said = ({ debugOutput }: Report): string[] => debugOutput.map((line) => line.trimEnd());
const statuses = ({ scenario }: Report): number[] => scenario.steps.map(({ status }) => Number(status));
const lineWith = (name: string, comment: string): number =>
  readFileSync(fileOf(`${name}/${name}.c`), 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(comment)) + 1;

describe('a function driver', () => {
  const path = '\\\\.\\ROOT#POOLPROOF#0000#{0A9C1E1D-4B8C-4E0A-9E57-6C1F5E0F7D21}';
  const link = '\\??\\ROOT#POOLPROOF#0000#{0a9c1e1d-4b8c-4e0a-9e57-6c1f5e0f7d21}';
  const leaking = (what: string): string[] => [
    `open ${path}`,
    `ioctl 0x222000 in=${what}4c0000`,
    'close',
    'stop',
    'start',
    'suspend',
    'resume',
    'suspend',
    'resume',
  ];

  it('gets registers, ports and an interrupt, and keeps them over a restart', () => {
    const report = run('pnp-function', ['interrupt', 'stop', 'start']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    const lines = said(report).filter((line) => !line.startsWith('pnp ') && !line.startsWith('display'));
    expect(lines.filter((line) => !/arrival|removal/.test(line))).toEqual([
      'register 0: 0, port: 0',
      'synchronized at 9: 0',
      'bus: 4 bytes, 1234 0001',
      'isr at 9',
      'dpc at 2',
      'register 0: 1, port: 101',
      'synchronized at 9: 1',
      'bus: 4 bytes, 1234 0001',
      'unload',
    ]);
    expect(said(report)).toContain(`arrival: ${link}`);
    expect(said(report)).toContain(`removal: ${link}`);
  });

  it('can be given no hardware, or hardware IDs', () => {
    const none = run('pnp-function', ['interrupt'], { resources: 'none' });
    expect(said(none)).toContain('started without resources');
    expect(statuses(none)[0]).toBe(0xc000_0225);
    const id = 'PCI\\VEN_10EC&DEV_8139';
    const known = run('pnp-function', [`open ${path}`, 'ioctl 0x222004'], { hardwareIds: [id] });
    expect(said(known)).toContain(`hardware: ${id}`);
    expect(said(known)).toContain('bus: 4 bytes, 10ec 8139');
  });

  it.each([1, 2, 3, 4, 5, 6])('sleeps and wakes, as owner of the power policy: seed %i', (seed) => {
    const report = run('pnp-function', ['suspend', 'wait 10ms', 'resume'], { seed });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [] });
    expect(said(report).filter((line) => /^(query|set|display)/.test(line))).toEqual([
      'display: 1, 4 bytes',
      'query S3',
      'query D3: 00000000',
      'set S3',
      'set D3: 00000000',
      'display: 0, 4 bytes',
      'set S0',
      'set D0: 00000000',
      'display: 1, 4 bytes',
    ]);
  });

  it.each([
    ['01', 'interrupt', 'vector 0x90', '/* the interrupt */'],
    ['02', 'callback', 'IoRegisterPlugPlayNotification', '/* the notification */'],
    ['04', 'callback', 'PoRegisterPowerSettingCallback', '/* the setting */'],
  ])('leaks what it does not give back: %s', (what, kind, name, comment) => {
    const report = run('pnp-function', leaking(what));
    expect(report.verdict).toBe('violation');
    for (const leak of report.leaks) {
      expect(leak).toMatchObject({ kind, name });
      const last = lineWith('pnp-function', comment);
      expect(leak.site?.line).toBeGreaterThanOrEqual(last - 3);
      expect(leak.site?.line).toBeLessThanOrEqual(last);
    }
    expect(report.leaks.length).toBe(what === '01' ? 2 : 1);
  });

  it('leaks an interface of the bus, and what it allocates whenever it sleeps', () => {
    expect(run('pnp-function', leaking('10')).leaks.map(({ kind, name }) => [kind, name])).toEqual([
      ['reference', 'BUS_INTERFACE_STANDARD'],
    ]);
    const slept = run('pnp-function', leaking('08'));
    expect(slept.leaks).toMatchObject([
      { kind: 'pool', tag: 'Cntx', site: { line: lineWith('pnp-function', '/* the context */') } },
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is taken through its ways in the tour: seed %i', (seed) => {
    const report = run('pnp-function', undefined, { seed });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    const texts = report.scenario.steps.map(({ step }) => step);
    for (const verb of ['stop', 'cancel-stop', 'interrupt', 'suspend', 'resume', 'cancel-remove', 'surprise-remove']) {
      expect(texts).toContain(verb);
    }
  });
});

describe('a bus driver', () => {
  const path = '\\\\.\\ROOT#POOLPROOF#0000#{5E0A7E0A-7B0F-4C3E-9B4B-3A6D9D1F6E52}';
  const [plug, plugIdle, unplug] = ['ioctl 0x222000', 'ioctl 0x222008', 'ioctl 0x222004'];

  it('has its children started if they can be used raw, and removed when they are gone', () => {
    const report = run('pnp-bus', [`open ${path}`, plug, plugIdle, 'wait 10ms', unplug, 'wait 10ms']);
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    expect(said(report)).toEqual([
      'child 0 starts',
      'child 0 pulled out',
      'child 0 removed',
      'child 0 deleted',
      'child 1 removed',
      'child 1 deleted',
      'bus: pnp 01',
      'bus removed',
    ]);
  });

  it.each([1, 2, 3, 4, 5])('goes after its children, and gets power before them: seed %i', (seed) => {
    const steps = [`open ${path}`, plug, 'close', 'wait 50ms', 'suspend', 'resume', 'cancel-remove', 'stop', 'start'];
    const report = run('pnp-bus', [...steps, 'surprise-remove'], { seed });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    expect(said(report)).toEqual([
      'child 0 starts',
      ...['child 0: power', 'bus: power', 'bus: power', 'child 0: power'],
      ...['child 0: pnp 01', 'bus: pnp 01', 'bus: pnp 03', 'child 0: pnp 03'],
      ...['child 0: pnp 05', 'bus: pnp 05', 'child 0: pnp 04', 'child 0 starts'],
      ...['child 0 pulled out', 'bus: pnp 17', 'child 0 removed', 'bus removed', 'child 0 deleted'],
    ]);
  });

  it.each([1, 2, 3, 4, 5, 6])('may go while its children are being asked for: seed %i', (seed) => {
    const report = run('pnp-bus', [`open ${path}`, plug, 'close', 'remove'], { seed });
    expect(report).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
    expect(run('pnp-bus', undefined, { seed })).toMatchObject({ verdict: 'clean', reasons: [], leaks: [] });
  });

  it('leaks what it allocated for a child that goes', () => {
    const report = run('pnp-bus', [`open ${path}`, 'ioctl 0x22200C in=000000', plug, plug, 'wait 10ms', unplug]);
    expect(report.leaks).toMatchObject([
      { kind: 'pool', tag: 'Chld', count: 2, bytes: 64, site: { line: lineWith('pnp-bus', '/* the text */') } },
    ]);
  });
});
