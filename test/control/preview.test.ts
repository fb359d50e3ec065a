import { expect, test } from 'vitest'
import type { Caller, Control } from '../../src/control/kit/control.ts'
import { previewDeliveries } from '../../src/control/webhooks/preview.ts'
import { buildRequest } from '../../src/delivery/sending/request.ts'
import type { EntityShape } from '../../src/domain/event-types/shape.ts'

const text = { shape: { kind: 'text' }, mayBeNull: true } as const
const user: EntityShape = {
  entityType: 'user',
  key: [{ column: 'id', type: { kind: 'int32' } }],
  hasNumberId: true,
  columns: [
    { name: 'id', shape: { kind: 'int32' }, mayBeNull: false },
    { name: 'email', ...text },
  ],
  others: [],
  last: null,
}
const control = {
  entityTypes: ['user'],
  readShapes: async () => [user],
  readEntity: async () => null,
} as unknown as Control
const caller = { userId: null } as Caller

test('the preview of a delivery has the headers of a request, in their order', async () => {
  const settings = { triggers: ['user.new'], previous: false, isBatch: false, headerNames: ['X-Team'] }
  const [preview] = await previewDeliveries(control, caller, settings)
  const request = buildRequest(
    'https://crm.example.com/',
    { id: 'msg_1', body: preview!.body },
    { secrets: [], nowMs: 0, userAgent: 'walhook/0.0.0', headers: { 'x-team': 'blue' } },
  )
  expect(Object.keys(preview!.headers)).toEqual(Object.keys(request.headers))
})

test('previous values are shown only for entity types whose tables record them', async () => {
  const settings = { triggers: ['user.update'], previous: true, isBatch: false, headerNames: [] }
  const body = async (untold: Map<string, string>) =>
    (
      await previewDeliveries(
        { ...control, readWithoutPrevious: async () => untold } as Control,
        caller,
        settings,
      )
    )[0]!.body
  expect(await body(new Map())).toContain('"previous":{"email":"before"}')
  expect(await body(new Map([['user', 'alter table …']]))).not.toContain('previous')
})

test('the example of a delete has last values if the mapping and the table have them', async () => {
  const settings = { triggers: ['user.delete'], previous: false, isBatch: false, headerNames: [] }
  const body = async (last: EntityShape['last']) => {
    const readShapes = async () => [{ ...user, last }]
    return (await previewDeliveries({ ...control, readShapes } as Control, caller, settings))[0]!.body
  }
  expect(await body(['email'])).toBe(
    '{"entity_id":1,"entity_type":"user","action_type":"delete","last":{"email":"text"}}',
  )
  expect(await body(null)).toBe('{"entity_id":1,"entity_type":"user","action_type":"delete"}')
})
