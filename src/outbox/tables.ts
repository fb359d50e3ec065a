import type { ColumnType, Generated } from 'kysely'
import type { Actor, AuditAction, Changes } from '../domain/audit.ts'
import type { Role } from '../domain/role.ts'

/** The tables that Kysely's builder reads and writes. The queue's hot statements are plain SQL beside it. */
export type Tables = {
  'walhook.webhooks': {
    id: Generated<number>
    name: string
    url: string
    is_active: Generated<boolean>
    triggers: string[]
    previous: Generated<boolean>
    update_fields: string[] | null
    mode: Generated<'every' | 'latest'>
    log_bodies: Generated<'all' | 'failed' | 'none'>
    batch_max_events: number | null
    batch_max_wait_ms: number | null
    secret: string
    previous_secret: string | null
    previous_secret_expires_at: Date | null
    headers: string | null
    client_identity: string | null
    client_certificate: ColumnType<
      { subject: string; fingerprint: string; expires_at: string } | null,
      string | null,
      string | null
    >
    header_names: Generated<string[]>
    disabled_at: Date | null
    disabled_reason: string | null
    failing_since: Date | null
    failed_for_ms: string | null
    failed_at: Date | null
    next_try_at: Date | null
    activated_at: Generated<Date>
    held_until: Date | null
    version: Generated<number>
    created_at: Generated<Date>
    updated_at: Generated<Date>
  }
  'walhook.tokens': {
    id: Generated<number>
    name: string
    hash: Buffer
    has_checksum: Generated<boolean>
    role: Role
    user_id: string | null
    expires_at: Date | null
    created_at: Generated<Date>
    last_used_at: Date | null
    revoked_at: Date | null
  }
  'walhook.audit': AuditTable
  'walhook.attempts': AttemptsTable
  /** The same columns, in the same order. */
  'walhook.kept_attempts': AttemptsTable
  'walhook.events': EventsTable
}

type ReadOnly<T> = ColumnType<T, never, never>

type AuditTable = {
  id: ReadOnly<bigint>
  at: ReadOnly<Date>
  actor_kind: ReadOnly<Actor['kind']>
  actor: ReadOnly<string>
  token_id: ReadOnly<number | null>
  user_id: ReadOnly<string | null>
  action: ReadOnly<AuditAction>
  target_id: ReadOnly<string | null>
  webhook_id: ReadOnly<number | null>
  changes: ReadOnly<Changes>
}

type EventsTable = {
  id: ReadOnly<bigint>
  body: ReadOnly<string>
  action_type: ReadOnly<string>
  previous: ReadOnly<string | null>
  changed: ReadOnly<string[] | null>
  omitted: ReadOnly<string[] | null>
}

type AttemptsTable = {
  webhook_id: number
  id: Generated<bigint>
  trigger: 'schedule' | 'manual' | 'test'
  event_id: bigint | null
  event_ids: bigint[] | null
  request_body: string | null
  with_previous: Generated<boolean>
  message_id: string
  entity_type: string | null
  entity_id: string | null
  action_type: string | null
  number: number
  url: string
  request_headers: ColumnType<Record<string, string>, string, never>
  started_at: Date
  duration_ms: number
  phases: ColumnType<Record<string, number> | null, string | null, never>
  remote_address: string | null
  status: number | null
  response_headers: ColumnType<Record<string, string> | null, string | null, never>
  response_body: string | null
  response_truncated: boolean
  outcome: 'delivered' | 'refused' | 'unreachable' | 'blocked' | 'cancelled'
  error_class: string | null
  error_message: string | null
  next_attempt_at: Date | null
  has_bodies: Generated<boolean>
}
