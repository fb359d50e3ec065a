import { setFlagsFromString } from 'node:v8'

/**
 * Keeps the heap of this process small under a long load, at no cost that could be measured. Rows come, become events
 * and go again within milliseconds; V8 by itself makes two things of that which do not suit it:
 *
 * - Having once seen a batch survive, it decides to put all rows into the old generation at once, where they lie until
 *   that is collected: +180 MB.
 * - The young generation doubles whenever enough has survived in total, up to 128 MB, and never shrinks while it is busy.
 *   It stays at what it has after the start, 16 or 32 MB.
 *
 * To be called once, before the load. Both are flags of V8, not promises of Node.js: a version that no longer knows them
 * says so on stderr, and memory is what it was.
 * https://nodejs.org/docs/latest-v24.x/api/v8.html#v8setflagsfromstringflags
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
  setFlagsFromString('--semi-space-growth-factor=1')
}
