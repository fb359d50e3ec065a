import { expect, test } from 'vitest'
import { openWindow, type PageTask } from '../../src/capture/backfill/backfill-window.ts'
import { type ActionType, type WebhookEvent, writeBody } from '../../src/domain/event/event.ts'
import { entity } from '../support/open-mapper.ts'

const backfill = (actionType: 'new' | 'update'): PageTask => ({ of: 'backfill', actionType, webhookId: 3 })

function open(task = backfill('new')) {
  const window = openWindow(task, entity('user', 'users'))
  const event = (entityType: string, id: string, actionType: ActionType, name = ''): WebhookEvent => ({
    entityType,
    entityId: id,
    actionType,
    body: writeBody({
      entityIdJson: id,
      entityType,
      actionType,
      resultJson: actionType === 'delete' ? null : JSON.stringify({ name }),
    }),
    commitLsn: 1n,
    index: 0,
    committedAt: new Date(0),
  })
  return {
    window,
    event,
    brings: (...events: WebhookEvent[]) => window.observe({ events, truncated: [] }),
    fill: (...ids: string[]) =>
      window.fill(
        {
          entities: ids.map(id => ({
            entityId: id,
            entityIdJson: id,
            resultJson: '{"name":"read"}',
            omitted: null,
            tenant: null,
          })),
        },
        { id: 1 } as never,
      ),
    texts: () => window.content()?.events.map(({ body }) => body) ?? null,
  }
}

const told = (id: number, action: string, name: string) =>
  `{"entity_id":${id},"entity_type":"user","action_type":"${action}","result":{"name":"${name}"}}`

test("an entity with an event around the page is sent in that event's state; others as read", () => {
  const at = open()
  at.brings(at.event('user', '1', 'update', 'early'), at.event('company', '2', 'delete'))
  expect(at.fill('1', '2', '3', '4', '5')).toBe(true)
  at.brings(at.event('user', '3', 'new', 'late'), at.event('user', '3', 'update', 'later'))
  at.brings(at.event('user', '4', 'update'), at.event('user', '4', 'delete'), at.event('user', '6', 'update'))
  at.brings(at.event('user', '5', 'delete'), at.event('user', '5', 'new', 'again'))
  expect(at.texts()).toEqual([told(1, 'new', 'early'), told(2, 'new', 'read'), told(3, 'new', 'later')])
})

test('a backfill with updates also sends new entities, because a webhook may lack that trigger', () => {
  for (const task of [backfill('update'), { of: 'resync' } as const]) {
    const at = open(task)
    at.fill('1', '2')
    at.brings(at.event('user', '1', 'new', 'late'), at.event('user', '2', 'update', 'late'))
    expect(at.texts()).toEqual([told(1, 'update', 'late'), told(2, 'update', 'late')])
  }
})

test('a TRUNCATE during the reading spoils the page, because it names no rows', () => {
  for (const isFirst of [true, false]) {
    const at = open()
    if (isFirst) at.window.observe({ events: [], truncated: ['"public"."users"'] })
    expect(at.fill('1')).toBe(!isFirst)
    at.window.observe({ events: [], truncated: ['"public"."users"'] })
    expect(at.texts()).toBe(null)
  }
})

test('the states held while a page is read are bounded; afterwards only those of the page are held', () => {
  const long = 'x'.repeat(1_000_000)
  const at = open()
  for (let i = 0; i < 20; i++) at.brings(at.event('user', '1', 'update', long))
  at.fill('1')
  for (let i = 0; i < 20; i++) at.brings(at.event('user', String(i + 2), 'update', long))
  expect(at.texts()).toHaveLength(1)

  const other = open()
  for (let i = 0; i < 20; i++) other.brings(other.event('user', String(i), 'update', long))
  expect(other.fill('1')).toBe(false)
  expect(other.texts()).toBe(null)
})
