import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import type { Outbox } from '../../src/outbox/database/database.ts'
import { openTestPages } from '../support/open-pages.ts'
import { startTestReceiver } from '../support/test-receiver.ts'
import { addTwoCells, copyLog, fillWebhook, type TwoCells } from '../support/two-cells.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let cells: TwoCells
let receiver: Awaited<ReturnType<typeof startTestReceiver>>
type Webhook = { readonly webhookId: number; readonly attemptId: bigint; readonly outbox: Outbox }
/** Twins: in main, in another schema, in another database. */
let twins: Webhook[]
let events: bigint[]
// A minute that ends between two looks would show one more request in a plot.
const nowMs = Date.now()

beforeAll(async () => {
  at = await openTestPages({ nowMs: () => nowMs })
  receiver = await startTestReceiver()
  // Numbers that are found nowhere by chance.
  await at.outbox.pool.query(`select setval(pg_get_serial_sequence('walhook.webhooks', 'id'), 4000)`)
  const create = async () => {
    const made = await at.call('POST', '/api/webhooks', {
      name: 'CRM',
      url: receiver.url,
      triggers: ['user.new', 'user.update'],
      alert_to: ['ops@example.com'],
    })
    return made.json.id as number
  }
  const ids = [await create()]
  cells = await addTwoCells(at)
  ids.push(await create(), await create())
  events = await at.append('user 7 new', 'user 7 update', 'user 8 new')
  for (const cell of [cells.near, cells.far]) await copyLog(at, cell)
  twins = await Promise.all(
    at.control.cells.all().map(async ({ outbox }, i) => ({
      webhookId: ids[i]!,
      outbox,
      ...(await fillWebhook({ outbox }, ids[i]!, events)),
    })),
  )
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const lastOf = async ({ pool }: Outbox, table: string, webhookId: number) =>
  (await pool.query(`select max(id)::text as id from walhook.${table} where webhook_id = $1`, [webhookId]))
    .rows[0].id

/** Backfills are main's. */
async function pathOf({ path }: Page, { webhookId, attemptId, outbox }: Webhook): Promise<string> {
  return path
    .replace(':id', String(webhookId))
    .replace(':attempt', String(attemptId))
    .replace(':replay', path.includes(':replay') ? await lastOf(outbox, 'replays', webhookId) : '')
    .replace(':backfill', path.includes(':backfill') ? await lastOf(at.outbox, 'backfills', webhookId) : '')
}

/** What the form of a page holds. */
function formOf({ path }: Page, { webhookId }: Webhook): Record<string, string> {
  const key = `${webhookId}`.padEnd(32, 'a')
  const form = { version: '2', name: 'CRM', url: receiver.url, is_active: 'true', trigger: 'user.new', key }
  const forms: Record<string, Record<string, string>> = {
    '/couplings/:id': form,
    '/couplings/:id/try': form,
    '/couplings/:id/validate': form,
    '/couplings/:id/active': { is_active: 'true' },
    '/couplings/:id/resend-failed': { from: '1000' },
    '/couplings/:id/resend': { event_id: String(events[0]), key },
    '/couplings/:id/cancel': { event_id: String(events[0]) },
    '/couplings/:id/recipients': { address: 'ops@example.com' },
    '/couplings/:id/secret/rotate': { overlap_hours: '0', key },
    '/couplings/:id/replay': { from: '1000', to: String(nowMs), key },
    '/couplings/:id/backfill': { entity_type: 'user', rows_per_second: '5', key },
    '/couplings/:id/test': { user_id: '8', key },
  }
  return forms[path] ?? {}
}

/** Without what differs between twins: ids, keys, times, secrets, how long it took. */
const neutral = (text: string, { webhookId, attemptId }: Webhook) =>
  text
    .replaceAll(new RegExp(`(?<![0-9])(${webhookId}|${attemptId})(?![0-9])`, 'g'), 'ID')
    .replaceAll(/\b\d{19}\b/g, id => (events.includes(BigInt(id)) ? id : 'ATTEMPT'))
    .replaceAll(/\b[0-9a-f]{32}\b/g, 'KEY')
    .replaceAll(/<figure class="phases">.*?<\/figure>/gs, '')
    .replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT/g, 'DATE')
    .replaceAll(/\b(replays?|backfills?)(-|\/)\d+/g, '$1$2ID')
    .replaceAll(/whsec_[^"'<&]+|v1,[^"'<&]+/g, 'SECRET')
    .replaceAll(/test_\w+_[-0-9a-f]+/g, 'test_ID')
    .replaceAll(/<time[^>]*>[^<]*<\/time>/g, 'TIME')
    .replaceAll(/\d[\d.,]*(\s|&nbsp;| )(ms|s|µs)\b/g, 'DURATION')
    .replaceAll(/webhook-timestamp[^\d]+\d+/g, 'TIMESTAMP')

const order = ({ method, path }: Page) =>
  method === 'post' && path.endsWith('/delete')
    ? 2
    : path.includes('/replays/') || path.includes('/backfills/')
      ? 1
      : 0

const ofWebhook = pages
  .filter(({ path }) => path.startsWith('/couplings/:id') && !path.endsWith('/live'))
  .sort((a, b) => order(a) - order(b))

test.each(ofWebhook.map(page => ({ name: `${page.method} ${page.path}`, page })))(
  '$name shows the same for webhooks in a cell and in main',
  async ({ page }) => {
    const ask = async (of: Webhook) => {
      const path = await pathOf(page, of)
      const { status, text, headers } =
        page.method === 'get' ? await at.get(path) : await at.post(path, formOf(page, of))
      return { status, to: neutral(headers.get('location') ?? '', of), text: neutral(text, of) }
    }
    const [main, near, far] = twins
    const ofMain = await ask(main!)
    expect(ofMain.status).toBeLessThan(400)
    expect(await ask(near!)).toEqual(ofMain)
    expect(await ask(far!)).toEqual(ofMain)
  },
)
