// poolproof drivers/leaky-mailbox/leaky-mailbox.sys --scenario examples/scenario/mailbox.ts
import type { DeviceFile, Machine } from 'poolproof';

const POST = 0x222080;
const WAIT = 0x222088;
const STATUS_CRC_ERROR = 0xc000003f;
const STATUS_CANCELLED = 0xc0000120;

/** Kind, length, checksum, text. */
function letter(kind: number, text: string, checksum: number): Uint8Array {
  const bytes = new Uint8Array(12 + text.length);
  new DataView(bytes.buffer).setUint32(0, kind, true);
  new DataView(bytes.buffer).setUint32(4, text.length, true);
  new DataView(bytes.buffer).setUint32(8, checksum, true);
  bytes.set(new TextEncoder().encode(text), 12);
  return bytes;
}

/** Posts with one checksum after the other until the driver says that one is wrong. */
function postUntilRefused(mailbox: DeviceFile): number {
  for (let checksum = 0; checksum < 10; checksum++) {
    if (mailbox.ioctl(POST, { in: letter(1, 'x', checksum) }).status === STATUS_CRC_ERROR) return checksum;
  }
  throw new Error('no checksum is wrong');
}

/** A program that waits for mail, gives up, sends a spoilt letter, and goes. Each answer decides what comes next. */
export default function scenario(machine: Machine): void {
  const mailbox = machine.open(String.raw`\\.\LeakyMailbox`);
  const wait = mailbox.ioctl(WAIT, { in: '00*8', out: 8, async: true });
  machine.wait('100ms');
  if (wait.isPending) mailbox.cancel();
  if (wait.status !== STATUS_CANCELLED) throw new Error(`the wait ended with 0x${wait.status.toString(16)}`);
  postUntilRefused(mailbox);
  mailbox.close();
}
