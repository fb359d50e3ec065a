import type { PoolClient } from 'pg'
import { type Lsn, parseLsn } from '../domain/lsn.ts'
import type { EntityMapping } from '../domain/mapping.ts'
import type { Problem } from '../domain/problem.ts'
import type { Outbox } from '../outbox/database.ts'
import { createPosition, readPosition } from '../outbox/position.ts'
import { preflight } from './preflight.ts'
import { createPublication } from './preflight-verdict.ts'
import type { Source } from './source.ts'

export type SetupResult =
  | { readonly ok: true; readonly walSenderTimeoutMs: number }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const slotLock = 0x77616c68

/**
 * Makes what capture needs and does not find yet, in this order: the publication, then the slot (a slot older
 * than its publication fails on the changes between), then the position from which the slot reads. What was
 * there once and is gone is never silently made again: what happened meanwhile would be lost without a word.
 * Any number of processes may call it at once.
 */
export async function setUp(
  source: Source,
  outbox: Outbox,
  options: {
    slotName: string
    publicationName: string
    mapping: readonly EntityMapping[]
    onWaiting: (forWhat: string) => void
  },
): Promise<SetupResult> {
  const { slotName, publicationName } = options
  const client = await source.pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [slotLock])
    const { problems, facts } = await preflight(source, options)
    const position = await readPosition(outbox, slotName)
    if (position && position.systemIdentifier !== facts.systemIdentifier)
      problems.push({
        what: 'source database',
        found: `system identifier ${facts.systemIdentifier}, but ${position.systemIdentifier} was captured so far`,
        mend: `DATABASE_URL leads to another cluster, or to one that was restored. To capture it from now on: delete from walhook.positions where slot_name = '${slotName}';`,
      })
    else if (position && !facts.slot)
      problems.push({
        what: `replication slot ${slotName}`,
        found: 'missing, although changes were captured with it',
        mend: `changes since it was dropped can't be read. To go on from now, knowing this: delete from walhook.positions where slot_name = '${slotName}';`,
      })
    if (problems.length > 0) return { ok: false, problems }

    if (!facts.publication) await client.query(createPublication(publicationName, options.mapping))
    const startsAt = facts.slot
      ? parseLsn(facts.slot.confirmedLsn!)
      : await createSlot(client, slotName, options.onWaiting)
    if (!position)
      await createPosition(outbox, slotName, {
        systemIdentifier: facts.systemIdentifier,
        commitLsn: startsAt,
      })
    // A timeout of 0 means that the server never gives up on a link; we still do.
    const walSenderTimeoutMs = facts.walSenderTimeoutMs || 60_000
    return { ok: true, walSenderTimeoutMs }
  } finally {
    // Ending the connection gives the lock back, whatever state the connection is in.
    client.release(true)
  }
}

const slotWaitNoticeMs = 5_000

/** Creates the slot; Postgres first waits for every transaction that is open now to end. */
async function createSlot(
  client: PoolClient,
  slotName: string,
  onWaiting: (forWhat: string) => void,
): Promise<Lsn> {
  const notice = setTimeout(
    () => onWaiting('the transactions that are open in the source to end, so that the slot can be made'),
    slotWaitNoticeMs,
  )
  try {
    const { rows } = await client.query(
      `select lsn from pg_create_logical_replication_slot($1, 'pgoutput')`,
      [slotName],
    )
    return parseLsn(rows[0].lsn)
  } finally {
    clearTimeout(notice)
  }
}
