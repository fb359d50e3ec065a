import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Route } from '../../src/api/kit/route.ts'
import { routes } from '../../src/api/routes.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import { openTestApi } from '../support/open-api.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { addTwoCells, copyLog, fillWebhook, type TwoCells } from '../support/two-cells.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let cells: TwoCells
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
type Webhook = { readonly webhookId: number; readonly attemptId: bigint; readonly outbox: Outbox }
/** Twins: in main, in another schema, in another database. */
let [main, near, far]: Webhook[] = []
let events: bigint[]

beforeAll(async () => {
  at = await openTestApi()
  receiver = await startTestReceiver()
  // Numbers that are found nowhere by chance.
  await at.outbox.pool.query(`select setval(pg_get_serial_sequence('walhook.webhooks', 'id'), 4000)`)
  const create = async () => {
    const made = await at.call('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers: ['user.new', 'user.update'],
    })
    expect(made.status).toBe(201)
    return made.json.id as number
  }
  const ids = [await create()]
  cells = await addTwoCells(at)
  ids.push(await create(), await create())
  events = await at.append('user 7 new', 'user 7 update', 'user 8 new')
  for (const cell of [cells.near, cells.far]) await copyLog(at, cell)
  ;[main, near, far] = await Promise.all(
    at.control.cells.all().map(async (cell, i) => ({
      webhookId: ids[i]!,
      outbox: cell.outbox,
      ...(await fillWebhook(cell, ids[i]!, events)),
    })),
  )
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const bodies: Record<string, unknown> = {
  changeWebhook: { name: 'Renamed', alert_to: ['ops@example.com'] },
  testWebhook: { user_id: 8 },
  resendFailed: { from: '2020-01-01T00:00:00Z' },
  startReplay: { from: '2020-01-01T00:00:00Z' },
  askRecipient: { address: 'ops@example.com' },
  rotateSecret: { overlap_hours: 1 },
}
const bodyOf = ({ id }: Route) => {
  const event_id = String(events[0])
  if (id === 'resendEvent' || id === 'cancelWaiting') return { event_id }
  return id === 'replayEvents' ? { event_ids: [event_id] } : bodies[id]
}

/** Its last replay. */
async function replayOf({ outbox, webhookId }: Webhook): Promise<string> {
  const { rows } = await outbox.pool.query(
    'select max(id)::text as id from walhook.replays where webhook_id = $1',
    [webhookId],
  )
  return rows[0].id
}

const pathOf = async ({ path }: Route, of: Webhook) =>
  path
    .replace('{id}', String(of.webhookId))
    .replace('{attempt_id}', String(of.attemptId))
    .replace('{replay_id}', path.includes('replay_id') ? await replayOf(of) : '')

/** Without what differs between twins: ids, times, secrets, how long it took. */
const neutral = (text: string, of: Webhook) =>
  text
    .replaceAll(new RegExp(`\\b(${of.webhookId}|${of.attemptId})\\b`, 'g'), 'ID')
    .replaceAll(/msg_\d+_/g, 'msg_ID_')
    .replaceAll(/test_\d+_[-0-9a-f]+/g, 'test_ID')
    .replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT/g, 'DATE')
    .replaceAll(/"phases":\{[^}]*\}/g, '')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/whsec_[^"]+|v1,[^"]+/g, 'SECRET')
    .replaceAll(
      /"(id|duration_ms|\w+_ms|webhook-timestamp|webhook-id|replay_id|attempt_id)":("?)[^",}]+\2/g,
      '"$1":X',
    )

const ofWebhook = routes
  .filter(({ path }) => path.startsWith('/api/webhooks/{id}'))
  .sort((a, b) => Number(a.id === 'deleteWebhook') - Number(b.id === 'deleteWebhook'))

test.each(ofWebhook.map(route => ({ name: `${route.method} ${route.path}`, route })))(
  '$name responds the same for webhooks in a cell and in main',
  async ({ route }) => {
    expect(route.tenants).toBe('webhook')
    const ask = async (of: Webhook) => {
      const path = await pathOf(route, of)
      const { status, text } = await at.call(route.method.toUpperCase(), path, route.body && bodyOf(route))
      return { status, text: neutral(text, of) }
    }
    const ofMain = await ask(main!)
    expect(ofMain.status).toBeLessThan(300)
    expect(await ask(near!)).toEqual(ofMain)
    expect(await ask(far!)).toEqual(ofMain)
  },
)

test("every change was made and audited in the webhook's cell", async () => {
  const of = await Promise.all(
    at.control.cells.all().map(async ({ outbox }, i) => {
      const { webhookId } = [main!, near!, far!][i]!
      const { rows } = await outbox.pool.query(
        `select action, count(*)::int as count from walhook.audit where webhook_id = $1 group by action order by action`,
        [webhookId],
      )
      return rows
    }),
  )
  expect(of[0]!.length).toBeGreaterThan(5)
  expect(of[1]).toEqual(of[0])
  expect(of[2]).toEqual(of[0])
  const { rows } = await at.outbox.pool.query('select webhook_id from walhook.placements')
  expect(rows).toEqual([])
})
