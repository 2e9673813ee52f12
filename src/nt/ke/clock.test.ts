import { describe, expect, it } from 'vitest';
import { GuestCode } from '../../../test/guest-code.ts';

/** Loops until the tick count on the shared page (0xFFFFF780'00000320) has grown by some ticks. */
const poll = (ticks: number): string => `
  poll: enter
    mov r11, 0xfffff78000000320
    mov eax, [r11]
    lea ebx, [rax+${ticks}]
  again:
    mov eax, [r11]
    cmp eax, ebx
    jb again
    log 1
    leave
  dpc: enter
    log 2
    leave`;

describe('polling of the shared page', () => {
  it('costs a load for each microsecond', () => {
    const code = new GuestCode(poll(8));
    const start = code.nt.clock.interruptTime;
    const before = code.nt.cpu.retired;
    code.start('poll');
    expect(code.run()).toEqual([1]);
    expect(code.nt.clock.interruptTime - start).toBeGreaterThan(7 * 156_250);
    expect(code.nt.clock.interruptTime - start).toBeLessThan(9 * 156_250 + 20_000);
    expect(code.nt.cpu.retired - before).toBeLessThan(1_500_000);
  });

  it('does not go past what is due: timers come when the turn ends', () => {
    const code = new GuestCode(poll(8), ['timer', 'dpcObject']);
    code.call('KeInitializeTimer', code.at('timer'));
    code.call('KeInitializeDpc', code.at('dpcObject'), code.at('dpc'), 0);
    code.call('KeSetTimer', code.at('timer'), -100_000n, code.at('dpcObject'));
    code.start('poll');
    expect(code.run()).toEqual([2, 1]);
  });

  it('shows a time that never goes back', () => {
    const code = new GuestCode(poll(3));
    code.start('poll');
    code.run();
    const { clock, memory } = code.nt;
    const shown = memory.readU32(-0x087f_ffff_fff8 as never);
    expect(shown).toBeLessThanOrEqual(clock.interruptTime);
    clock.tick();
    expect(memory.readU32(-0x087f_ffff_fff8 as never)).toBeGreaterThanOrEqual(shown);
  });
});
