/** The workloads: count of a timed run, and the checksum that native code compiled without optimisation gives for it. */
export interface Workload {
  readonly name: string;
  readonly about: string;
  /** First argument of a timed run. */
  readonly count: number;
  readonly checksum: string;
  /** First argument of the run before the timed ones. */
  readonly warmUpCount: number;
}

export const workloads: readonly Workload[] = [
  { name: 'sha256', about: 'arithmetic', count: 200_000, checksum: '48733e3bcaef3df8', warmUpCount: 100_000 },
  { name: 'calls', about: 'recursion, function pointers', count: 250, checksum: 'b8a5328fd74d056b', warmUpCount: 100 },
  { name: 'lists', about: 'lists, hash table', count: 1_000_000, checksum: 'bc4a829d454cc15b', warmUpCount: 300_000 },
  { name: 'strings', about: 'copies, scans, CRC, SSE2', count: 1_500, checksum: '5e79206a32aced54', warmUpCount: 500 },
  { name: 'interpreter', about: 'jump table', count: 120_000, checksum: '785fd5ec814b09be', warmUpCount: 40_000 },
];

export const scratchBytes = 0x10_0000;

/** The committed blob of a workload. */
export function blobOf(workload: Workload): URL {
  return new URL(`./workloads/${workload.name}.bin`, import.meta.url);
}
