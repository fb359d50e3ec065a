import type { Queryable } from './source.ts'

/** The properties of a slot that a replacement keeps. */
type SlotFlags = { readonly twoPhase: boolean; readonly failover: boolean }

const plain: SlotFlags = { twoPhase: false, failover: false }
/** The default flags of a slot. */
async function newest(db: Queryable): Promise<SlotFlags> {
  const { rows } = await db.query(`select current_setting('server_version_num')::int as version`)
  return Number(rows[0].version) >= 170_000 ? { ...plain, failover: true } : plain
}

const waitNoticeMs = 5_000
const invalidParameter = '22023'
const notSupported = '0A000'
const notInPrerequisiteState = '55000'

/**
 * Creates the slot, after every present transaction has ended. Returns its start. A new slot survives a failover if the
 * server supports that and the standby synchronizes it. Newer versions refuse `failover` with `twoPhase`: `failover` wins.
 * https://www.postgresql.org/docs/current/logicaldecoding-explanation.html#LOGICALDECODING-REPLICATION-SLOTS-SYNCHRONIZATION
 */
export async function createSlot(
  db: Queryable,
  slotName: string,
  options: { flags?: SlotFlags | null; onWaiting: (forWhat: string) => void },
): Promise<string> {
  const { twoPhase, failover } = options.flags ?? (await newest(db))
  const notice = setTimeout(
    () => options.onWaiting('open transactions of the source to end, before creating the slot'),
    waitNoticeMs,
  )
  const create = async (twoPhase: boolean, survives = failover): Promise<string> => {
    // The parameter came with PostgreSQL 17.
    const more = survives ? ', failover => true' : ''
    const { rows } = await db.query(
      `select lsn from pg_create_logical_replication_slot($1, 'pgoutput', twophase => $2${more})`,
      [slotName, twoPhase],
    )
    return rows[0].lsn
  }
  try {
    return await create(twoPhase).catch(error => {
      const isRefused = [invalidParameter, notSupported, notInPrerequisiteState].includes(error.code)
      if (isRefused && twoPhase && failover) return create(false)
      // Only a default: retried without.
      if (isRefused && failover && !options.flags) return create(false, false)
      throw error
    })
  } finally {
    clearTimeout(notice)
  }
}
