/** SeExports: where drivers find privileges and well-known SIDs. */
import { type Va, vaAdd } from '../../base/va.ts';
import { ntExports } from '../declare/nt-routine.ts';
import type { Nt } from '../nt.ts';
import { SE_EXPORTS } from '../structures/security.ts';
import { writeSid } from './sid.ts';
import { privileges, wellKnownSids } from './well-known.ts';

const sidArea = 0x400;

/** The structure that SeExports points to, and the SIDs that it points to. */
function writeExports(nt: Nt, at: Va): void {
  const { memory, pool } = nt;
  const block = pool.allocateKernel(SE_EXPORTS.sizeBytes + sidArea, 'SeEx');
  for (const [name, luid] of Object.entries(privileges)) {
    const field = SE_EXPORTS[name as keyof typeof privileges];
    memory.writeU64(field.at(block), BigInt(luid));
  }
  let sid = vaAdd(block, SE_EXPORTS.sizeBytes);
  for (const [name, text] of Object.entries(wellKnownSids)) {
    SE_EXPORTS[name as keyof typeof wellKnownSids].set(memory, block, sid);
    sid = vaAdd(sid, Math.ceil(writeSid(memory, sid, text) / 8) * 8);
  }
  memory.writeVa(at, block);
}

export const seExportedData = ntExports(
  'ntoskrnl.exe',
  {},
  {
    SeExports: {
      doc: 'ntifs.h; pointer to SE_EXPORTS: privileges and well-known SIDs',
      sizeBytes: 8,
      initialise: writeExports,
    },
  },
);
