import type pg from 'pg'
import { type Actor, type AuditAction, type Changes, changesBetween } from '../../domain/access/audit.ts'
import type { Outbox } from '../database/database.ts'
import { fields } from '../database/fields.ts'
import { newId } from '../database/new-ids.ts'

/**
 * Records who changed what, in the same transaction as the change. `from` and `to` are the object before and after (null or
 * absent: nonexistent), readable by any viewer; only differences are stored. `id` is the object's, unless it is the webhook.
 */
export async function recordAudit(
  client: pg.PoolClient,
  actor: Actor,
  action: AuditAction,
  what: {
    readonly webhookId?: number | undefined
    readonly id?: number | bigint | string
    readonly from?: object | null
    readonly to?: object | null
    /** The object's tenant, if it is no existing webhook; absent: the webhook's, or the actor's. */
    readonly tenant?: string | null
  },
): Promise<void> {
  await client.query({
    name: 'record_audit',
    text: `
with its as materialized (select coalesce($10, (select tenant from walhook.webhooks where id = $7), $9) as tenant)
insert into walhook.audit
  (id, actor_kind, actor, token_id, user_id, actor_tenant, action, target_id, webhook_id, changes, tenant) overriding system value
select $11::bigint, $1, $2, $3::int, $4, $9, $5, $6, $7::int, $8::jsonb, tenant from its`,
    values: [
      actor.kind,
      actor.name,
      actor.tokenId,
      actor.userId,
      action,
      String(what.id ?? what.webhookId ?? '') || null,
      what.webhookId ?? null,
      JSON.stringify(changesBetween(what.from ?? null, what.to ?? null)),
      actor.tenant,
      what.tenant ?? null,
      await newId(client, 'audit'),
    ],
  })
}

const prunedAtOnce = 1_000

/** Deletes records from before a moment, in short statements; returns their number. */
export async function pruneAudit({ pool }: Pick<Outbox, 'pool'>, beforeMs: number): Promise<number> {
  let pruned = 0
  for (;;) {
    const { rowCount } = await pool.query(
      `delete from walhook.audit where id in (
         select id from walhook.audit where at < to_timestamp($1::float8 / 1000) order by at limit $2)`,
      [beforeMs, prunedAtOnce],
    )
    pruned += rowCount ?? 0
    if ((rowCount ?? 0) < prunedAtOnce) return pruned
  }
}

export type AuditRecord = {
  readonly id: bigint
  readonly at: Date
  readonly actor: Actor
  readonly action: AuditAction
  readonly targetId: string | null
  readonly webhookId: number | null
  readonly changes: Changes
  /** The object's tenant; null: none. */
  readonly tenant: string | null
}

/** Records, newest first, at most `limit`, before the record `before`; of one webhook and one tenant, if given. */
export async function listAudit(
  outbox: Outbox,
  page: { limit: number; before: bigint | null; webhookId: number | null; tenant: string | null },
): Promise<AuditRecord[]> {
  const { rows } = await outbox.pool.query(
    `select id, at, actor_kind, actor, token_id, user_id, actor_tenant, action, target_id, webhook_id, changes, tenant
     from walhook.audit
     where ($1::bigint is null or id < $1) and ($2::int is null or webhook_id = $2)
       ${page.tenant === null ? '' : 'and tenant = $4'} order by id desc limit $3`,
    [page.before, page.webhookId, page.limit, ...(page.tenant === null ? [] : [page.tenant])],
  )
  return rows.map(({ actor_kind: kind, actor: name, token_id, user_id, actor_tenant, ...rest }) => ({
    ...fields<Omit<AuditRecord, 'actor'>>(rest),
    actor: { kind, name, tokenId: token_id, userId: user_id, tenant: actor_tenant },
  }))
}
