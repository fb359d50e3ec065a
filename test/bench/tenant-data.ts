import { openOutbox } from '../../src/outbox/database/database.ts'
import { ensurePartitions } from '../../src/outbox/days/partitions.ts'
import { benchSecret } from './contenders/walhook.ts'

const dayMs = 86_400_000
const days = 7

/** How much the tenant `1` has; others have half as many attempts together. */
export type Amount = { readonly webhooks: number; readonly attempts: number; readonly others: number }

/**
 * A week of a tenant with many webhooks, among others with two each: one attempt in twenty is refused, each hundredth event is dead at a
 * webhook, and each hundred and first waits for a retry. The webhook 1 was off for the whole week, and is on again.
 */
const statements = ({ webhooks, attempts, others }: Amount, fromMs: number) => {
  const events = Math.ceil(attempts / 4)
  const at = (n: string, more: string) =>
    `((${fromMs}::bigint + (${n})::bigint * ${days * dayMs} / ${events + 1}) << 20) + ${more}`
  const event = (tenant: string, more: string) => `
    insert into walhook.events (id, share, webhooks_version, commit_lsn, index_in_transaction, entity_type, entity_id, action_type,
                                committed_at, body, tenant)
    select ${at('n', more)}, walhook.share_of('user', 'e' || n % 50000), off.version, '0/1', n, 'user', 'e' || n % 50000,
           case n % 3 when 0 then 'new' else 'update' end, to_timestamp(((${at('n', more)}) >> 20) / 1000.0),
           '{"entity_id":"e' || n % 50000 || '","entity_type":"user","action_type":"update","result":{"name":"user ' || n || '","note":"' || repeat('n', 300) || '"}}',
           ${tenant}
    from generate_series(1, ${events}) n, (select version from walhook.webhooks_version) off`
  const attempt = (webhook: string, each: number, more: string) => `
    insert into walhook.attempts (webhook_id, id, trigger, event_id, message_id, entity_type, entity_id, action_type, number, url,
                                  request_headers, started_at, duration_ms, status, response_headers, response_body, outcome,
                                  error_class, error_message)
    select ${webhook}, ${at('n', '(5 << 20) + k')}, 'schedule', ${at('n', more)}, 'msg_' || n, 'user', 'e' || n % 50000,
           case n % 3 when 0 then 'new' else 'update' end, 1, 'https://crm.example.com/hooks', '{"content-type":"application/json"}',
           to_timestamp(((${at('n', more)}) >> 20) / 1000.0), 20 + n % 200, case when n % 20 = 0 then 500 else 200 end,
           '{"content-type":"text/plain"}', 'ok', case when n % 20 = 0 then 'refused' else 'delivered' end,
           case when n % 20 = 0 then 'http_error' end, case when n % 20 = 0 then 'answered 500' end
    from generate_series(1, ${events}) n cross join generate_series(0, ${each - 1}) k`
  const ended = (table: string, columns: string, values: string, which: string) => `
    insert into walhook.${table} (webhook_id, event_id, entity_type, entity_id, attempts, ${columns})
    select 1 + n % ${webhooks}, ${at('n', '0')}, 'user', 'e' || n % 50000, 3, ${values} from generate_series(1, ${events}) n where ${which}`
  return [
    `update walhook.webhooks set is_active = false where id = 1`,
    event(`'1'`, '0'),
    event(`(2 + n % ${others})::text`, '1'),
    attempt(`1 + (n * 4 + k) % ${webhooks}`, 4, '0'),
    attempt(`${webhooks} + 1 + (n % ${others}) * 2 + k`, 2, '1'),
    ended('ended_deliveries', 'state', `'dead'`, 'n % 100 = 0'),
    ended(
      'deliveries',
      'share, due_at',
      `walhook.share_of('user', 'e' || n % 50000), now() + interval '1 hour'`,
      'n % 101 = 1 and n <= 50000',
    ),
    `update walhook.webhooks set is_active = true where id = 1`,
    `update walhook.webhooks set failing_since = now(), failed_at = now(), failed_for_ms = 0 where id % 10 = 3`,
    `update walhook.webhooks set disabled_at = now(), disabled_reason = 'it failed for five days' where id % 50 = 7`,
    `update walhook.shares set settled_up_to = (select max(id) from walhook.events)`,
    `update walhook.positions set last_event_id = (select max(id) from walhook.events)`,
    `insert into walhook.audit (actor_kind, actor, token_id, actor_tenant, action, target_id, webhook_id, tenant, at)
     select 'token', 'CRM', 1, '1', 'webhook.changed', (1 + n % ${webhooks})::text, 1 + n % ${webhooks}, '1', now() - n * interval '1 minute'
     from generate_series(1, 20000) n`,
    `insert into walhook.incidents (kind, subject, webhook_id, opened_at, ended_at, told_at)
     select 'webhook.failing', (1 + n % ${webhooks})::text, 1 + n % ${webhooks}, now() - n * interval '10 minutes',
            now() - n * interval '10 minutes' + interval '1 minute', now() from generate_series(1, 5000) n`,
    `insert into walhook.replays (webhook_id, from_id, to_id, counted, is_exact, state, actor, actor_tenant, ended_at)
     select 2, 1, 2, 0, true, 'done', 'CRM', '1', now() from generate_series(1, 100)`,
  ]
}

/** Fills the outbox at `url`, which nobody delivers from. `analyze`: before anything is there, or afterwards. */
export async function fillTenants(url: string, amount: Amount, analyze: 'before' | 'after'): Promise<void> {
  await using outbox = openOutbox({ url, maxConnections: 1, onError() {} })
  const nowMs = Date.now()
  for (let day = days + 1; day >= 0; day--) await ensurePartitions(outbox, nowMs - day * dayMs)
  const { pool } = outbox
  await pool.query(
    `insert into walhook.webhooks (id, name, url, triggers, secret, tenant)
     select n, 'webhook ' || n, 'https://crm.example.com/hooks/' || n, '{user.new,user.update}', $1,
            case when n <= $2 then '1' else (2 + (n - $2 - 1) / 2)::text end
     from generate_series(1, $2::int + 2 * $3::int) n`,
    [benchSecret(), amount.webhooks, amount.others],
  )
  await pool.query(`select setval(pg_get_serial_sequence('walhook.webhooks', 'id'), 1000000)`).catch(() => {})
  if (analyze === 'before') await pool.query('analyze')
  for (const statement of statements(amount, nowMs - days * dayMs)) await pool.query(statement)
  if (analyze === 'after') await pool.query('vacuum (analyze)')
}
