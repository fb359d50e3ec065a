import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Cell } from '../../src/outbox/cells/cells.ts'
import { moveWebhook, type Step } from '../../src/outbox/cells/move.ts'
import { adminToken, openTestApi } from '../support/open-api.ts'
import { waiters } from '../support/open-outbox.ts'
import { addTwoCells, type TwoCells } from '../support/two-cells.ts'
import { until } from '../support/wait.ts'

let at: Awaited<ReturnType<typeof openTestApi>>
let cells: TwoCells
beforeAll(async () => {
  at = await openTestApi()
  cells = await addTwoCells(at)
})
afterAll(async () => {
  await cells[Symbol.asyncDispose]()
  await at[Symbol.asyncDispose]()
})

/** A webhook in the cell `near`. */
async function createNear(): Promise<number> {
  const { json } = await at.call('POST', '/api/webhooks', {
    name: 'CRM',
    url: 'https://crm.example.com/',
    triggers: ['user.new'],
  })
  const { name } = await at.control.cells.of(json.id)
  if (name !== 'near') await move(json.id, cells.near)
  return json.id
}

/** The session of an earlier move may still hold its lock for a moment. */
async function move(
  webhookId: number,
  to: Cell,
  onStep: (step: Step) => void | Promise<void> = () => {},
): Promise<void> {
  const moved = () => moveWebhook(at.control.cells, { webhookId, to, holdMs: 0, onStep })
  await until(async () => (await moved()).ok, { what: 'the move' })
}

/** Calls while a webhook is cut over to `far`: the call waits for the end of that. */
async function callDuringMove(webhookId: number, method: string, path: string, body?: object) {
  let called: ReturnType<typeof at.call> | undefined
  await move(webhookId, cells.far, async step => {
    if (step !== 'cut over') return
    called = at.call(method, `/api/webhooks/${webhookId}${path}`, body)
    await until(async () => (await waiters(at)) > 0, { what: 'the call to wait' })
  })
  return await called!
}

test('a webhook that is deleted while it moves is deleted in its new cell', async () => {
  const id = await createNear()
  expect((await callDuringMove(id, 'DELETE', '')).status).toBe(204)
  for (const { outbox } of at.control.cells.all())
    expect((await outbox.pool.query('select from walhook.webhooks where id = $1', [id])).rowCount).toBe(0)
  expect((await at.call('GET', `/api/webhooks/${id}`)).status).toBe(404)
})

test('a change while a webhook moves is made in its new cell', async () => {
  const id = await createNear()
  const changed = await callDuringMove(id, 'PATCH', '', { name: 'Renamed' })
  expect([changed.status, changed.json.name]).toEqual([200, 'Renamed'])
  expect((await at.call('GET', `/api/webhooks/${id}`)).json.name).toBe('Renamed')
})

test('a call that is repeated after a move gets its first answer: nothing is done twice', async () => {
  const id = await createNear()
  const rotate = async () => {
    const headers = { authorization: `Bearer ${adminToken}`, 'idempotency-key': `rotate-${id}` }
    const answer = await at.request(`/api/webhooks/${id}/rotate-secret`, { method: 'POST', headers })
    return { answer, secret: ((await answer.json()) as { secret: string }).secret }
  }
  const first = await rotate()
  expect(first.answer.status).toBe(200)
  await move(id, cells.far)
  const second = await rotate()
  expect(second.answer.headers.get('idempotent-replayed')).toBe('true')
  expect(second.secret).toBe(first.secret)
})
