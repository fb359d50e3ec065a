import type { TestOutbox } from './open-outbox.ts'

/** What a test fills for one tenant; every text of it holds the tenant's name. */
export type Filled = {
  readonly tenant: string
  readonly entityId: string
  readonly webhookId: number
  readonly eventId: bigint
  readonly attemptId: bigint
  readonly tokenId: number
  readonly replayId: number
}

type At = TestOutbox & {
  token(
    role: 'viewer' | 'operator' | 'admin',
    input: { name: string; userId?: string; tenant: string },
  ): Promise<string>
}

/** A webhook of a tenant that fails, with an event that was delivered, one that is dead, one that waits, a token and records of the audit. */
export async function fillTenant(at: At, tenant: string, entityId: string): Promise<Filled> {
  const { pool } = at.outbox
  // Numbers that are found nowhere by chance.
  for (const table of ['webhooks', 'tokens', 'replays'])
    await pool.query(
      `select setval(pg_get_serial_sequence('walhook.${table}', 'id'), 4000 + nextval(pg_get_serial_sequence('walhook.${table}', 'id')))`,
    )
  const webhookId = await at.webhook(['user.new', 'user.update', 'user.delete'], true, { tenant })
  await pool.query(
    'update walhook.webhooks set name = $2, url = $3, failing_since = now(), failed_at = now(), failed_for_ms = 0 where id = $1',
    [webhookId, `CRM of ${tenant}`, `https://${tenant}.example/hook`],
  )
  const [eventId, dead] = await at.append(
    `user ${entityId} new ${tenant}`,
    `user ${entityId} update ${tenant}`,
    `user ${entityId}1 new ${tenant}`,
  )
  await pool.query('update walhook.events set body = replace(body, $1, $1 || $2) where tenant = $3', [
    '"action_type"',
    `:"x","of_${tenant}"`,
    tenant,
  ])
  await at.deliver(webhookId, eventId!)
  await pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
     values ($1, $2, 'user', $3, 'dead', 10)`,
    [webhookId, dead, entityId],
  )
  await at.token('admin', { name: `token of ${tenant}`, userId: entityId, tenant })
  const { rows: tokens } = await pool.query('select max(id) as id from walhook.tokens where tenant = $1', [
    tenant,
  ])
  const { rows: attempts } = await pool.query('select id from walhook.attempts where webhook_id = $1', [
    webhookId,
  ])
  const { rows: replays } = await pool.query(
    `insert into walhook.replays (webhook_id, from_id, to_id, counted, is_exact, state, ended_at, actor, actor_tenant)
     values ($1, 1, 2, 0, true, 'done', now(), 'token of ' || $2::text, $2) returning id`,
    [webhookId, tenant],
  )
  await pool.query(
    `insert into walhook.audit (actor_kind, actor, token_id, actor_tenant, action, target_id, webhook_id, tenant, changes)
     values ('token', 'token of ' || $2::text, $3, $2, 'webhook.changed', $1::int::text, $1, $2, '{}')`,
    [webhookId, tenant, tokens[0].id],
  )
  return {
    ...{ tenant, entityId, webhookId, eventId: eventId!, attemptId: attempts[0].id, tokenId: tokens[0].id },
    replayId: replays[0].id,
  }
}
