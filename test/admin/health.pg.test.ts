import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { en } from '../../src/admin/texts/en.ts'
import { lostNl, pageCodesNl, refusalsNl } from '../../src/admin/texts/nl/capture.ts'
import type { CaptureStatus } from '../../src/control/kit/control.ts'
import type { Lost } from '../../src/domain/capture/lost-texts.ts'
import { openTestPages } from '../support/open-pages.ts'
import { until } from '../support/wait.ts'

let capture: Partial<CaptureStatus> = {}
let at: Awaited<ReturnType<typeof openTestPages>>
beforeAll(async () => {
  at = await openTestPages()
  const { captureStatus } = at.control
  const { captureState } = at.control
  Object.assign(at.control, {
    captureStatus: async () => ({ ...(await captureStatus()), ...capture }),
    captureState: () => ({ ...captureState(), ...capture }),
  })
})
beforeEach(async () => {
  capture = {}
  await at.outbox.pool.query('truncate walhook.gaps, walhook.ended_deliveries')
})
afterAll(() => at[Symbol.asyncDispose]())

const { findings, states } = en.health

test('a viewer sees the figures of a healthy system', async () => {
  const { status, text } = await at.get('/health', 'viewer')
  expect(status).toBe(200)
  expect(text).toContain(en.health.allWell)
  expect(text).toContain(states.streaming.what)
  expect(text).toContain('64 B')
  expect(text).toContain('12 ms')
  expect(text).toContain('None yet')
  expect(text).toContain('0 delivered, 0 failed.')
  expect(text).not.toContain(en.health.gaps)
})

test.each<[string, Partial<CaptureStatus>, string, string]>([
  ['lost', { state: 'lost' }, states.lost.word, findings.capture_lost.advice],
  ['blocked', { state: 'blocked' }, states.blocked.word, findings.capture_blocked.advice],
  ['lagging', { state: 'lagging' }, states.lagging.word, findings.capture_lagging.advice],
  ['starting', { state: 'starting' }, states.starting.word, findings.capture_starting.advice],
  ['out of reach', { source: null }, en.health.unknown, findings.no_source.advice],
  [
    'keeping much WAL',
    { source: { walEnd: 2n ** 40n, confirmedLsn: 0n, heldBackBytes: 2 * 1024 ** 3 } },
    '2 GB',
    findings.much_held_back.advice,
  ],
])('if the source is %s, the page shows the problem and the fix', async (_what, change, shown, advice) => {
  capture = change
  const { text } = await at.get('/health', 'viewer')
  expect(text).toContain(shown)
  expect(text).toContain(advice)
  expect(text).not.toContain(en.health.allWell)
})

test('dropped mapped tables and columns are shown, with the fix', async () => {
  const dropped: Lost = { code: 'table', facts: { entity: 'company', table: '"public"."companies"' } }
  const lost = 'entity company: table "public"."companies" was dropped'
  Object.assign(at.control, { readMappingLost: async () => [dropped] })
  onTestFinished(() => void Object.assign(at.control, { readMappingLost: undefined }))
  const { text } = await at.get('/health', 'viewer')
  expect(text).toContain(lost.replaceAll('"', '&quot;'))
  expect(text).toContain(findings.mapping_lost.advice)
  expect(text).not.toContain(en.health.allWell)
})

test('a dropped table, a refused mapping and a waiting fan-out are shown in Dutch', async () => {
  const table = '"public"."companies"'
  const problem = { code: 'table_missing', what: `table ${table}`, found: 'is not there', mend: 'create it' }
  Object.assign(at.control, {
    readMappingLost: async () => [{ code: 'table', facts: { entity: 'company', table } } satisfies Lost],
    mappingState: () => ({ loadedAtMs: 0, refused: { atMs: 0, problems: [problem] } }),
  })
  onTestFinished(
    () => void Object.assign(at.control, { readMappingLost: undefined, mappingState: undefined }),
  )
  onTestFinished(async () => void (await at.outbox.pool.query('truncate walhook.resyncs')))
  await at.outbox.pool.query(
    `insert into walhook.resyncs (slot_name, entity_type, gap_ids, known_up_to, field, hop, reason, code)
    values ($1, 'user', '{}', 0, 'groups', 1, 'canceling statement due to lock timeout', 'page.timed_out')`,
    [at.control.slotName],
  )
  const { text } = await at.get('/health', 'viewer', { 'accept-language': 'nl' })
  const said = [
    lostNl.table({ entity: 'company', table }),
    `table ${table}: ${refusalsNl.table_missing}`,
    pageCodesNl['page.timed_out'],
  ]
  for (const each of said) expect(text).toContain(`<p>${each.replaceAll('"', '&quot;')}</p>`)
})

test('a failed backfill is shown with its reason until it is started again', async () => {
  const fail = `insert into walhook.backfills (slot_name, entity_type, action_type, rows_per_second, state, reason, code, started_at, ended_at)
    values ($1, 'user', 'new', 100, 'failed', 'division by zero', 'page.failed', now(), now())`
  await at.outbox.pool.query(fail, [at.control.slotName])
  onTestFinished(async () => void (await at.outbox.pool.query('truncate walhook.backfills')))
  const { text } = await at.get('/health', 'viewer')
  expect(text).toContain(findings.backfill_failed.what)
  expect(text).toContain('division by zero (page.failed). Fix: ')
  expect(text).not.toContain(en.health.allWell)
  await at.outbox.pool.query(
    `insert into walhook.backfills (slot_name, entity_type, action_type, rows_per_second) values ($1, 'user', 'new', 100)`,
    [at.control.slotName],
  )
  expect((await at.get('/health', 'viewer')).text).toContain(en.health.allWell)
})

test('the reason why capture is blocked is escaped', async () => {
  capture = { state: 'blocked', reason: 'table "<img src=x onerror=alert(1)>" is gone' }
  const { text } = await at.get('/health')
  expect(text).toContain('table &quot;&lt;img src=x onerror=alert(1)&gt;&quot; is gone')
  expect(text).not.toContain('<img')
})

test('an unknown state is shown unchanged', async () => {
  capture = { state: 'constructor' }
  expect((await at.get('/health')).text).toMatch(/<span class="badge ">constructor</)
})

test('lost changes stay listed, with the fix until a resync', async () => {
  await at.outbox.pool.query(
    `insert into walhook.gaps (slot_name, reason, detail, from_lsn) values ('test', 'slot missing', 'The slot is <b>gone</b>.', '0/1')`,
  )
  const open = (await at.get('/health')).text
  expect(open).toContain('The slot is &lt;b&gt;gone&lt;/b&gt;.')
  expect(open).toContain(findings.gap.what)
  expect(open).toContain(en.health.notYet)
  await at.outbox.pool.query(`update walhook.gaps set to_lsn = '0/2', resynced_at = now()`)
  const mended = (await at.get('/health')).text
  expect(mended).toContain('The slot is &lt;b&gt;gone')
  expect(mended).toContain(en.health.allWell)
})

test('dead letters are counted and shown, without an alarm', async () => {
  await at.outbox.pool.query(
    `insert into walhook.ended_deliveries (webhook_id, event_id, entity_type, entity_id, state, attempts)
     values (1, (extract(epoch from now()) * 1000)::bigint << 20, 'user', '1', 'dead', 10)`,
  )
  const { text } = await at.get('/health')
  expect(text).toContain(findings.dead.what)
  expect(text).toContain(en.health.allWell)
})

test('the health page updates live, and its stream ends with the session', async () => {
  const login = await at.sessions.logIn(await at.token('viewer'), '192.0.2.1')
  if (!login.ok) throw new Error('not let in')
  const cookie = `walhook_session=${login.session}`
  const response = await at.stream('/health/live', { cookie })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader.read()).value).toContain(en.health.allWell)
  await reader.cancel()
  capture = { state: 'lost' }
  expect((await at.get('/health/live', null, { cookie })).text).toContain(findings.capture_lost.what)
  await at.sessions.logOutEverywhere(login.caller)
  expect((await at.get('/health', null, { cookie })).status).toBe(303)
  expect((await at.get('/health/live', null, { cookie, accept: 'text/event-stream' })).status).toBe(401)
})

test.each<[string, Partial<CaptureStatus>, string | null, string]>([
  ['lost', { state: 'lost', reason: 'the slot was dropped' }, null, findings.capture_lost.advice],
  ['blocked', { state: 'blocked', reason: 'a table is gone' }, null, findings.capture_blocked.advice],
  ['not read here, and a gap is open', {}, 'null, false', findings.capture_lost.advice],
  ['read again after a gap that is told anew', {}, `'0/2', true`, findings.resyncing.advice],
])('if changes are %s, every page has a banner with the fix', async (_what, change, gap, advice) => {
  capture = change
  await at.outbox.pool.query('truncate walhook.resyncs')
  if (gap !== null) {
    const [toLsn, isResyncing] = gap.split(', ')
    await at.outbox.pool.query(
      `insert into walhook.gaps (slot_name, reason, detail, from_lsn, to_lsn) values ($1, 'slot missing', 'it was dropped', '0/1', ${toLsn})`,
      [at.control.slotName],
    )
    if (isResyncing === 'true')
      await at.outbox.pool.query(
        `insert into walhook.resyncs (slot_name, entity_type, gap_ids, known_up_to) select slot_name, 'user', array[id], 0 from walhook.gaps`,
      )
  }
  for (const path of ['/couplings', '/events', '/tokens', '/nowhere'])
    await until(async () => (await at.get(path)).text.includes(advice), { what: `${path} to say so` })
  const { text } = await at.get('/couplings')
  if (change.reason) expect(text).toContain(change.reason)
  expect((await at.get('/couplings', null)).text).not.toContain(advice)
})

test('on a healthy system no page has a banner', async () => {
  await until(async () => !(await at.get('/couplings')).text.includes('id="alarm"'), { what: 'no banner' })
})
