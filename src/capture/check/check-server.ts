import { type CheckLine, failure, ok, warning } from '../../domain/capture/check-line.ts'
import { quoteIdentifier } from '../../domain/mapping/mapping.ts'
import { muchHeldBackBytes } from '../../domain/shown/findings.ts'
import type { ReplicationTrial } from '../source/try-replication.ts'
import type { SlotFacts, SourceFacts } from '../verdict/preflight-verdict.ts'

const clockToleranceMs = 5_000

/** The checks of server and settings that found no problem. */
export function serverLines(
  facts: SourceFacts,
  trial: ReplicationTrial | null,
  nowMs: number,
): (CheckLine | null)[] {
  return [
    ok('version', 'PostgreSQL version', versionText(facts.serverVersion)),
    ok('primary', 'source database', `${facts.database}, a primary server`),
    encodingLine(facts),
    ok('wal_level', 'wal_level', facts.walLevel),
    ok('replication_role', `role ${facts.role}`, 'may replicate'),
    trial && ok('replication_connection', 'replication connection', 'opened; the server itself answers'),
    identityLine(facts),
    facts.slot === null
      ? ok('slots', 'max_replication_slots', `${facts.maxSlots - facts.usedSlots} of ${facts.maxSlots} free`)
      : ok('slots', 'max_replication_slots', `${facts.maxSlots}, one of them ours`),
    ok('senders', 'max_wal_senders', `${facts.maxSenders - facts.usedSenders} of ${facts.maxSenders} free`),
    keepSizeLine(facts),
    idleSlotLine(facts),
    releaseLine(facts),
    timeoutLine(facts),
    clockLine(facts, nowMs),
  ]
}

function versionText(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`
}

/** Whether every text of the database is UTF-8, as JSON requires. */
function encodingLine({ serverEncoding }: SourceFacts): CheckLine {
  const what = 'server_encoding'
  if (serverEncoding !== 'SQL_ASCII') return ok('encoding', what, serverEncoding)
  return warning(
    'encoding',
    what,
    'SQL_ASCII: PostgreSQL does not validate text, and walhook cannot send text that is not UTF-8 unchanged',
    "move the data into a database created with: create database … encoding 'UTF8' template template0;",
  )
}

/** The identity that shows a switch to another cluster. */
function identityLine({ mayReadControl, role }: SourceFacts): CheckLine {
  const what = 'pg_control_system'
  if (mayReadControl) return ok('system_identifier', what, 'executable: it identifies the cluster')
  return ok(
    'system_identifier',
    what,
    `not executable: walhook identifies the cluster by a replication connection instead. To avoid that, run as a superuser: grant execute on function pg_control_system() to ${quoteIdentifier(role)};`,
  )
}

function keepSizeLine({ maxSlotWalKeepMb }: SourceFacts): CheckLine {
  const what = 'max_slot_wal_keep_size'
  if (maxSlotWalKeepMb >= 0)
    return ok(
      'keep_size',
      what,
      `${maxSlotWalKeepMb} MB: if Postgres writes more WAL while walhook is stopped, changes are lost, and walhook reports it`,
    )
  return warning(
    'keep_size',
    what,
    'unlimited: while walhook is stopped, the retained WAL may fill the disk',
    "set a limit that fits the disk: alter system set max_slot_wal_keep_size = '20GB'; select pg_reload_conf();",
  )
}

/** PostgreSQL 18 can drop unread slots, whatever WAL they hold. */
function idleSlotLine({ idleSlotTimeoutS }: SourceFacts): CheckLine | null {
  if (idleSlotTimeoutS === null) return null
  const what = 'idle_replication_slot_timeout'
  if (idleSlotTimeoutS === 0) return ok('idle_slot', what, 'off: an idle slot is kept')
  const found = `${idleSlotTimeoutS} s: if walhook is stopped for longer, changes are lost, and walhook reports it`
  const day = 86_400
  if (idleSlotTimeoutS >= day) return ok('idle_slot', what, found)
  return warning(
    'idle_slot',
    what,
    found,
    "run: alter system set idle_replication_slot_timeout = '3d'; select pg_reload_conf();",
  )
}

/** No warning: without it, only more WAL is kept during heavy writes. */
function releaseLine({ mayLogSnapshot, role }: SourceFacts): CheckLine | null {
  if (mayLogSnapshot === null) return null
  const what = 'pg_log_standby_snapshot'
  if (mayLogSnapshot) return ok('wal_release', what, 'executable: Postgres releases WAL about every second')
  return ok(
    'wal_release',
    what,
    `not executable: Postgres retains the WAL of up to half a minute. To release it about every second, run as a superuser: grant execute on function pg_log_standby_snapshot() to ${quoteIdentifier(role)};`,
  )
}

function timeoutLine({ walSenderTimeoutMs }: SourceFacts): CheckLine {
  const what = 'wal_sender_timeout'
  if (walSenderTimeoutMs > 0) return ok('sender_timeout', what, `${walSenderTimeoutMs / 1000} s`)
  return warning(
    'sender_timeout',
    what,
    'off: PostgreSQL never ends a dead connection, which then blocks the slot',
    "run: alter system set wal_sender_timeout = '60s'; select pg_reload_conf();",
  )
}

function clockLine({ serverNowMs }: SourceFacts, nowMs: number): CheckLine {
  const differenceS = Math.round((nowMs - serverNowMs) / 100) / 10
  if (Math.abs(differenceS) * 1000 <= clockToleranceMs)
    return ok('clock', 'clock', `differs by ${Math.abs(differenceS)} s`)
  return warning(
    'clock',
    'clock',
    `this machine is ${Math.abs(differenceS)} s ${differenceS > 0 ? 'ahead of' : 'behind'} the database`,
    'synchronize both by NTP: receivers refuse signatures that are more than five minutes old',
  )
}

/** The slot, if it exists. */
export function slotLine(facts: SourceFacts, slotName: string, publicationName: string): CheckLine {
  const what = `replication slot ${slotName}`
  const { slot } = facts
  if (!slot) return ok('slot', what, 'does not exist: the first start creates it')
  if (slot.walStatus === 'lost' || facts.publication === null) {
    const found =
      slot.walStatus === 'lost'
        ? 'lost: PostgreSQL has removed unread WAL (max_slot_wal_keep_size)'
        : `useless: the publication ${publicationName} was dropped`
    return failure({
      code: 'slot_lost',
      what,
      found,
      mend: 'changes are lost: run: walhook resync',
    })
  }
  const held = `${(slot.heldBackBytes / 1024 ** 2).toFixed(0)} MB of WAL retained${flagsText(slot)}`
  if (slot.walStatus === 'unreserved')
    return warning(
      'slot',
      what,
      `about to be invalidated: ${held}`,
      'start walhook now, or raise max_slot_wal_keep_size',
    )
  if (slot.heldBackBytes > muchHeldBackBytes)
    return warning(
      'slot',
      what,
      held,
      'make sure that walhook runs and reads it: /readyz and the log give the reason',
    )
  return ok('slot', what, held)
}

function flagsText({ failover, twoPhase }: SlotFacts): string {
  return `${failover ? ', survives a failover' : ''}${twoPhase ? ', two_phase (unused by walhook)' : ''}`
}
