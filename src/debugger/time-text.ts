/** Times as Microsoft's C library writes them, in UTC: the machine knows no other zone. */

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (value: number): string => String(value).padStart(2, '0');

/** Milliseconds from 1601 to 1970. */
const unixEpoch = 11_644_473_600_000;

/** `Mon Jan 07 15:31:46 1985`, of milliseconds since 1970. */
export function utcText(milliseconds: number): string {
  const [date, year] = dateText(milliseconds);
  return `${date} ${year}`;
}

/** `Sun Mar 26 12:20:41.123 2023 (UTC + 0:00)`, of 100 ns since 1601; undefined if no calendar has it. */
export function fileTimeText(time: bigint): string | undefined {
  const milliseconds = Number(time / 10_000n) - unixEpoch;
  if (time < 0n || time >= 1n << 63n || Number.isNaN(new Date(milliseconds).getTime())) return undefined;
  const [date, year] = dateText(milliseconds);
  return `${date}.${String(Number((time / 10_000n) % 1000n)).padStart(3, '0')} ${year} (UTC + 0:00)`;
}

function dateText(milliseconds: number): readonly [string, number] {
  const time = new Date(milliseconds);
  const clock = [time.getUTCHours(), time.getUTCMinutes(), time.getUTCSeconds()].map(two).join(':');
  return [
    `${days[time.getUTCDay()]} ${months[time.getUTCMonth()]} ${two(time.getUTCDate())} ${clock}`,
    time.getUTCFullYear(),
  ];
}
