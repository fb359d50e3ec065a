import type { Outbox } from '../database/database.ts'
import { lockKey } from '../schema/in-schema.ts'

/** A lock held as long as a holder's session. */
export const sessionLocks = lockKey(0x73657373)

/**
 * The server probes an idle session's host each second, and ends the session after four without an answer. The host's system
 * answers even for a stopped process.
 * https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-TCP-SETTINGS
 */
const noticeCut = `
select set_config(name, value, false)
from (values ('tcp_user_timeout', '4s'), ('tcp_keepalives_idle', '1'), ('tcp_keepalives_interval', '1'),
             ('tcp_keepalives_count', '3')) as t (name, value)`

/**
 * Keeps a session for a holder, which ends with its process or link: others see a kill or a cut. Behind a session-sharing
 * pooler it shows nothing, and they wait longer. `onLost` is called when it ended by itself.
 */
export async function holdSession(
  outbox: Outbox,
  holderId: number,
  onLost: () => void,
): Promise<{ end(): void }> {
  const client = await outbox.pool.connect()
  let isEnded = false
  const lost = () => {
    if (isEnded) return
    isEnded = true
    client.release(true)
    onLost()
  }
  client.on('error', lost)
  client.on('end', lost)
  try {
    await client.query(noticeCut)
    await client.query(`select pg_advisory_lock(${sessionLocks}, $1)`, [holderId])
  } catch (error) {
    lost()
    throw error
  }
  return {
    end() {
      isEnded = true
      client.release(true)
    },
  }
}
