import { expect, test } from 'vitest'
import { explainTextsNl } from '../../src/admin/texts/nl/explain.ts'
import { failureTexts } from '../../src/domain/failure/failure-texts.ts'
import { explain, explainStates } from '../../src/domain/shown/explain.ts'
import type { ExplainFacts } from '../../src/domain/shown/explain-facts.ts'
import { firstIdAt } from '../../src/domain/value/time-id.ts'

/** Words that no Dutch sentence has. */
const english =
  /\b(the|and|which|must|with|from|this|its|it|does|not|an|by|for|receiver|answered|could|may|address|requests?|sent|null|undefined)\b/i

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute))
const eventId = firstIdAt(at(0).getTime()) + 7n
const wants = { isActive: true, disabledReason: null, triggers: ['user.update'], updateFields: null }
const gone = 'The receiver answered 410 Gone: it wants no more requests, so walhook disabled the webhook.'

/** An update of a user's email at 12:00 that the webhook, made at 11:50, wanted; told at 12:30; nothing else is known. */
const facts: ExplainFacts = {
  event: {
    id: eventId,
    entityType: 'user',
    actionType: 'update',
    changed: ['email'],
    isVersioned: true,
    onlyWebhookId: null,
    tenant: null,
    tenantBefore: null,
  },
  webhook: { ...wants, id: 3, createdAt: at(-10), disabledAt: null, heldUntil: null, tenant: null },
  stateThen: wants,
  waiting: null,
  inLog: null,
  skippedAt: null,
  ended: null,
  lastTry: null,
  accepted: null,
  now: at(30),
}
const waiting = { attempts: 0, dueAt: at(29), first: eventId, isHeld: false }
const inLog = { holderId: 4, maySend: false, isOwnStream: false, older: null }
const unversioned = { ...facts.event, isVersioned: false }
const failed = {
  at: at(1),
  number: 2,
  outcome: 'refused' as const,
  errorMessage: failureTexts['answer.status']({ status: 500 }),
}
const accepted = { at: at(2), number: 3, outcome: 'delivered' as const, errorMessage: null }
const inactive = { ...wants, isActive: false }
const disabled = { ...wants, disabledReason: gone }
const dead = { state: 'dead' as const, supersededBy: null, attempts: 10, at: at(5) }

test.each<[string, Partial<ExplainFacts>, string, RegExp]>([
  [
    'accepted',
    { accepted, lastTry: accepted },
    'delivered',
    /^Delivered at 2026-01-01T12:02:00.000Z, by attempt 3\.$/,
  ],
  ['in flight', { waiting: { ...waiting, isHeld: true, dueAt: at(31) } }, 'in_flight', /^In flight/],
  [
    'in flight to a webhook set inactive since',
    { waiting: { ...waiting, isHeld: true, dueAt: at(31) }, webhook: { ...facts.webhook, isActive: false } },
    'in_flight',
    /^In flight/,
  ],
  ['due', { waiting }, 'due', /^Next: /],
  [
    'to be tried again',
    { waiting: { ...waiting, attempts: 2, dueAt: at(40) }, lastTry: failed },
    'retrying',
    /^Not accepted yet\. The receiver answered 500\. Only 200 to 299 .* Attempt 3 follows at 2026-01-01T12:40:00.000Z\.$/,
  ],
  [
    'blocked',
    {
      waiting: { ...waiting, attempts: 2, dueAt: at(40) },
      lastTry: { ...failed, outcome: 'blocked', errorMessage: '10.0.0.1 is private.' },
    },
    'blocked',
    /address is not allowed\. 10\.0\.0\.1 is private\. Attempt 3 follows at/,
  ],
  [
    'behind one that waits',
    { waiting: { ...waiting, dueAt: at(40), first: 5n } },
    'behind',
    /^Pending behind event 5 of the same user, which is retried at 2026-01-01T12:40/,
  ],
  [
    'behind one in flight',
    { waiting: { ...waiting, first: 5n, isHeld: true, dueAt: at(31) } },
    'behind',
    /which is in flight/,
  ],
  ['behind one that is due', { waiting: { ...waiting, first: 5n } }, 'behind', /which is due/],
  [
    'behind a newer one in flight, asked for by hand',
    { waiting: { ...waiting, first: eventId + 1n, isHeld: true, dueAt: at(31) }, accepted },
    'behind',
    /which is in flight.* It was delivered before, at 2026-01-01T12:02/,
  ],
  [
    'waiting, set inactive since',
    { waiting, webhook: { ...facts.webhook, isActive: false } },
    'inactive',
    /active again/,
  ],
  [
    'waiting, disabled since',
    { waiting, webhook: { ...facts.webhook, disabledReason: gone, disabledAt: at(20) } },
    'disabled',
    /disabled at 2026-01-01T12:20:00.000Z\. The receiver answered 410/,
  ],
  [
    'waiting behind another one, set inactive since',
    { waiting: { ...waiting, first: 5n }, webhook: { ...facts.webhook, isActive: false } },
    'inactive',
    /active again/,
  ],
  [
    'due, and the receiver wants nothing now',
    { waiting, webhook: { ...facts.webhook, heldUntil: at(45) } },
    'due',
    /until 2026-01-01T12:45.* asked for a pause/,
  ],
  ['next in the log', { inLog }, 'due', /^Next: /],
  ['in the log, and perhaps being sent', { inLog: { ...inLog, maySend: true } }, 'in_flight', /^In flight/],
  ['far behind in the log', { inLog: { ...inLog, isOwnStream: true } }, 'due', /the webhook has a backlog/],
  ['in the log, and nobody delivers', { inLog: { ...inLog, holderId: null } }, 'due', /none does now/],
  [
    'in the log of a receiver that wants nothing now',
    { inLog: { ...inLog, isOwnStream: true }, webhook: { ...facts.webhook, heldUntil: at(45) } },
    'due',
    /until 2026-01-01T12:45.* asked for a pause/,
  ],
  [
    'in the log behind one that is tried again',
    { inLog: { ...inLog, older: { eventId: 5n, dueAt: at(40) } } },
    'behind',
    /^Pending behind event 5 of the same user, which is retried at 2026-01-01T12:40/,
  ],
  [
    'in the log behind an older one',
    { inLog: { ...inLog, maySend: true, older: { eventId: 5n, dueAt: null } } },
    'behind',
    /which goes first/,
  ],
  [
    'in the log, set inactive since',
    { inLog: { ...inLog, maySend: true }, webhook: { ...facts.webhook, isActive: false } },
    'inactive',
    /active again/,
  ],
  ['in the log, and delivered already', { inLog, accepted }, 'delivered', /^Delivered/],
  ['in the log, tried by a process that died', { inLog, lastTry: failed }, 'due', /^Next: /],
  ['in the log, and not wanted', { inLog, stateThen: inactive }, 'inactive_then', /was inactive then/],
  ['in the log, and cancelled', { inLog, skippedAt: at(20) }, 'cancelled', /12:20.* after no attempts/],
  ['cancelled, and passed since', { skippedAt: at(20) }, 'cancelled', /^Cancelled at .*12:20/],
  ['cancelled, and accepted all the same', { skippedAt: at(1), accepted }, 'delivered', /^Delivered/],
  ['cancelled, and asked for by hand since', { skippedAt: at(1), waiting }, 'due', /^Next: /],
  [
    'in a cancelled range, and not wanted',
    { skippedAt: at(1), stateThen: { ...wants, triggers: ['user.new'] } },
    'not_subscribed',
    /did not subscribe to user\.update/,
  ],
  [
    'made for another webhook',
    { event: { ...facts.event, onlyWebhookId: 8 } },
    'for_another',
    /for webhook 8 only/,
  ],
  ['made for this webhook', { event: { ...facts.event, onlyWebhookId: 3 }, inLog }, 'due', /^Next: /],
  [
    'dead',
    { ended: dead, lastTry: failed },
    'dead',
    /^Dead letter since .* after 10 attempts\. The last failure: The receiver answered 500\./,
  ],
  [
    'delivered, then resent and dead',
    { ended: dead, lastTry: failed, accepted },
    'dead',
    /was delivered before/,
  ],
  [
    'dead, then resent and delivered',
    { ended: dead, accepted: { ...accepted, at: at(6) } },
    'delivered',
    /Delivered/,
  ],
  [
    'superseded',
    { ended: { ...dead, state: 'superseded', supersededBy: 99n, attempts: 0 } },
    'superseded',
    /by event 99/,
  ],
  [
    'cancelled',
    { ended: { ...dead, state: 'cancelled', attempts: 1 } },
    'cancelled',
    /at .* after one attempt/,
  ],
  [
    'cancelled untried',
    { ended: { ...dead, state: 'cancelled', attempts: 0 } },
    'cancelled',
    /after no attempts/,
  ],
  [
    'older than the webhook',
    { event: unversioned, webhook: { ...facts.webhook, createdAt: at(3) }, stateThen: null },
    'made_later',
    /created at 2026-01-01T12:03/,
  ],
  [
    'older than the move of the webhook to its cell',
    { webhook: { ...facts.webhook, createdAt: at(-60), knownSince: at(3) }, stateThen: null },
    'unknown',
    /moved to its cell at 2026-01-01T12:03/,
  ],
  [
    'without a state of the webhook in its version',
    { inLog, stateThen: null },
    'made_later',
    /created at 2026-01-01T11:50/,
  ],
  [
    'in the millisecond in which the webhook was made',
    { webhook: { ...facts.webhook, createdAt: at(0) }, stateThen: inactive },
    'inactive_then',
    /was inactive then\.$/,
  ],
  ['inactive then, active now', { stateThen: inactive }, 'inactive_then', /was inactive then\.$/],
  [
    'disabled then, enabled now',
    { stateThen: disabled },
    'disabled_then',
    /disabled then\. The receiver answered 410/,
  ],
  [
    'another trigger then',
    { stateThen: { ...wants, triggers: ['user.new'] } },
    'not_subscribed',
    /did not subscribe to user\.update\.$/,
  ],
  [
    'no recorded state: by what is set now, and it is told',
    { event: unversioned, stateThen: null, webhook: { ...facts.webhook, triggers: ['user.new'] } },
    'not_subscribed',
    /The setting at that time is not recorded\.$/,
  ],
  [
    'none of the wanted fields',
    { stateThen: { ...wants, updateFields: ['user.name', 'user.code', 'company.name'] } },
    'no_wanted_field',
    /changed email, .* only updates of user\.name, user\.code\./,
  ],
  [
    'one of the wanted fields, and no trace',
    { stateThen: { ...wants, updateFields: ['user.email'] } },
    'unknown',
    /no record of a delivery is left/,
  ],
  [
    'fields of another entity only',
    { stateThen: { ...wants, updateFields: ['company.name'] } },
    'unknown',
    /no record of a delivery/,
  ],
  [
    'changed fields not known',
    { event: { ...facts.event, changed: null }, stateThen: { ...wants, updateFields: ['user.name'] } },
    'unknown',
    /no record of a delivery/,
  ],
  [
    'tried, and out of the queue',
    { lastTry: failed },
    'unknown',
    /^The receiver did not accept attempt 2, at /,
  ],
])('%s', (_what, change, state, sentence) => {
  const said = explain({ ...facts, ...change })
  expect(said.state).toBe(state)
  expect(said.sentence).toMatch(sentence)
  expect(said.sentence).toMatch(/^[A-Z].*\.$/)
  expect(said.sentence).not.toMatch(/null|undefined/)
  const { sentence: dutch, ...rest } = explain({ ...facts, ...change }, explainTextsNl)
  expect({ ...rest, sentence: said.sentence }).toEqual(said)
  expect(dutch).toMatch(/^[A-Z].*\.$/)
  expect(dutch).not.toMatch(english)
  expect(said.deliveredAt).toEqual(change.accepted?.at ?? null)
})

test('the explanation has the blocking event as a value', () => {
  const said = (change: Partial<ExplainFacts>) => explain({ ...facts, ...change })
  expect(said({ waiting: { ...waiting, dueAt: at(40), first: 5n } })).toMatchObject({
    until: at(40),
    other: 5n,
  })
  expect(said({ waiting: { ...waiting, dueAt: at(40) } })).toMatchObject({ until: at(40), other: null })
  expect(said({ waiting: { ...waiting, dueAt: at(31), isHeld: true, first: 5n } })).toMatchObject({
    until: null,
    other: 5n,
  })
  expect(said({ ended: { ...dead, state: 'superseded', supersededBy: 9n } })).toMatchObject({
    until: null,
    other: 9n,
  })
})

test('each state has a different name', () => {
  expect(new Set(explainStates).size).toBe(explainStates.length)
})

test('the explanation of a filtered delete names its last value', () => {
  const body = '{"entity_id":1,"entity_type":"user","action_type":"delete","last":{"company_id":7}}'
  const event = { ...facts.event, actionType: 'delete' as const, body }
  const stateThen = { ...wants, triggers: ['user.delete'], filter: { 'user.company_id': 5 } }
  expect(explain({ ...facts, event, stateThen })).toMatchObject({
    state: 'filtered',
    sentence: 'Not sent: user.company_id was 7, and the filter wants 5.',
  })
})

test('the explanation of a filtered event names the value that does not match', () => {
  const filtered = { ...wants, filter: { 'user.company_id': 5, 'user.gender': ['man', null] } }
  const of = (result: object, rest: object = {}, facts_: object = {}) =>
    explain({
      ...facts,
      ...facts_,
      event: { ...facts.event, body: JSON.stringify({ entity_id: 1, result }), ...rest },
      stateThen: { ...filtered, ...rest },
    })
  expect(of({ company_id: 7, gender: 'man' })).toMatchObject({
    state: 'filtered',
    sentence: 'Not sent: user.company_id is 7, and the filter wants 5.',
  })
  expect(of({ company_id: 5, gender: 'x' }).sentence).toBe(
    'Not sent: user.gender is "x", and the filter wants "man" or null.',
  )
  expect(of({ gender: 'man' }).sentence).toContain('user.company_id is not in the event')
  const left = { previous: '{"company_id":5}', changed: ['company_id'] }
  expect(of({ company_id: 7, gender: null }, left).sentence).toContain('matched before')
  expect(of({ company_id: 7, gender: null }, { ...left, filterLeaving: 'delete' })).toMatchObject({
    state: 'not_subscribed',
    sentence: 'Not sent: the webhook did not subscribe to user.delete.',
  })
  expect(of({ company_id: 5, gender: null }).state).toBe('unknown')
  expect(of({ company_id: 5, gender: null }, { updateFields: ['user.x'], changed: ['email'] }).state).toBe(
    'no_wanted_field',
  )
})
