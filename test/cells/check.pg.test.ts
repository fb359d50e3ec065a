import { afterAll, beforeAll, expect, test } from 'vitest'
import { useLines } from '../../src/commands/kit/use-lines.ts'
import { readConfig } from '../../src/config/config.ts'
import { openTestApi } from '../support/open-api.ts'
import { addTwoCells, type TwoCells } from '../support/two-cells.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let cells: TwoCells
let ids: number[]

beforeAll(async () => {
  at = await openTestApi({ hasTenants: true })
  const create = async (tenant: string) =>
    (
      await at.call('POST', '/api/webhooks', {
        ...{ name: 'CRM', url: 'https://crm.example.com/', triggers: ['user.new'] },
        ...{ tenant, alert_to: ['ops@example.com'] },
      })
    ).json.id as number
  ids = [await create('acme')]
  cells = await addTwoCells(at)
  ids.push(await create('acme'), await create('bravo'))
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

const key = { WALHOOK_SECRET_KEY: Buffer.alloc(32, 1).toString('base64') }

async function lines(env: Record<string, string>) {
  const read = readConfig([], env)
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return (await useLines(at.outbox, { ...read.config, mapping: [] })).map(
    ({ level, what, found }) => `${level} ${what}: ${found}`,
  )
}

test('check counts the webhooks of all cells', async () => {
  expect(await lines(key)).toEqual([
    'warning recipients of alerts: 3 webhooks with addresses for alerts, but walhook sends no emails: WALHOOK_SMTP_URL is not set',
    `warning trigger user.new: 3 webhooks (such as ${ids[0]}) with it, but the mapping has no such entity: nothing is sent for it`,
    'warning webhooks of tenants: 3 webhooks, but no entity of the mapping has a tenant: they get no events',
  ])
})

test('check counts the webhooks of main without the key of other cells, and says what it lacks', async () => {
  const found = await lines({})
  expect(found[0]).toMatch(/^warning recipients of alerts: 1 webhook with addresses/)
  expect(found.at(-1)).toBe('error WALHOOK_SECRET_KEY: not set, but it decrypts the URLs of cells')
})

test('check names a cell that does not answer, and counts the webhooks of the others', async () => {
  cells.link.stall()
  try {
    const found = await lines(key)
    expect(found[0]).toMatch(/^warning recipients of alerts: 2 webhooks with addresses/)
    expect(found.at(-1)).toMatch(/^warning cell far: does not answer/)
  } finally {
    cells.link.heal()
  }
})
