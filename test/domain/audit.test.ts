import { expect, test } from 'vitest'
import { auditActions, changesBetween } from '../../src/domain/access/audit.ts'
import { parseSealKey, seal } from '../../src/domain/webhook/seal.ts'

test('a difference is listed by its API field name', () => {
  const before = { name: 'CRM', isActive: true, triggers: ['user.new'], disabledAt: null }
  const after = { ...before, isActive: false, triggers: ['user.new', 'user.delete'] }
  expect(changesBetween(before, after)).toEqual({
    is_active: { from: true, to: false },
    triggers: { from: ['user.new'], to: ['user.new', 'user.delete'] },
  })
  expect(changesBetween(before, before)).toEqual({})
})

test('a created object has no "before", a deleted one has no "after", and null values are listed', () => {
  expect(changesBetween(null, { name: 'CRM', userId: null })).toEqual({
    name: { to: 'CRM' },
    user_id: { to: null },
  })
  expect(changesBetween({ name: 'CRM' }, null)).toEqual({ name: { from: 'CRM' } })
  expect(changesBetween(null, null)).toEqual({})
})

test('ids, versions and row timestamps are no part of a difference', () => {
  const row = { id: 1, version: 1, createdAt: new Date(1), updatedAt: new Date(1), name: 'a' }
  expect(
    changesBetween(row, { ...row, id: 2, version: 2, createdAt: new Date(2), updatedAt: new Date(2) }),
  ).toEqual({})
})

test('dates and big numbers are written as the API writes them', () => {
  const to = { endsAt: new Date('2026-01-02T03:04:05Z'), eventId: 2n ** 60n }
  expect(changesBetween({ endsAt: null, eventId: 1 }, to)).toEqual({
    ends_at: { from: null, to: '2026-01-02T03:04:05.000Z' },
    event_id: { from: 1, to: '1152921504606846976' },
  })
})

test('a secret passed by mistake is redacted at any depth', () => {
  const sealed = seal(parseSealKey(Buffer.alloc(32).toString('base64'))!, 'test', 'hidden', Buffer.alloc(12))
  for (const secret of ['whsec_c2VjcmV0', 'whk_abc', 'whs_abc', sealed, `Bearer whk_abc`])
    expect(changesBetween({ a: secret }, { b: { c: [secret, 'open'] } })).toEqual({
      a: { from: '(secret)' },
      b: { to: { c: ['(secret)', 'open'] } },
    })
})

test('the name of each action fits the table', () => {
  for (const action of auditActions) expect(action).toMatch(/^[a-z_]+\.[a-z_]+$/)
})
