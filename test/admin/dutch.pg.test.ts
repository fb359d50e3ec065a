import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Page } from '../../src/admin/kit/page.ts'
import { pages } from '../../src/admin/pages.ts'
import { type FailureCode, failureTexts } from '../../src/domain/failure/failure-texts.ts'
import { openTestPages, ours } from '../support/open-pages.ts'
import { retry, settleAll } from '../support/sending.ts'

let at: Awaited<ReturnType<typeof openTestPages>>
let ids: { webhookId: number; eventId: string; attemptId: string; tokenId: number }
/** One of each kind that failed. */
let failed: { id: string; event_id: string }[]

/** Words that no Dutch sentence has. What other programs say (in `theirs`), and what stands in `code` and `pre`, is nobody's language. */
const english =
  /\b(the|and|which|must|with|from|this|that|its|does|not|an|by|for|could|may|cannot|please|your|you|are|were|will|there|what|when|how|request|requests|receiver|sent|failed|delivered|retry|unknown|invalid|missing)\b/i
const theirs = '8A000126'
const dutch = { 'accept-language': 'nl' }

beforeAll(async () => {
  at = await openTestPages()
  const webhookId = await at.webhook(['user.new', 'user.update', 'user.delete'])
  const facts = { status: 599, location: theirs, message: theirs, seconds: 17, target: theirs, why: theirs }
  const codes = Object.keys(failureTexts) as FailureCode[]
  await at.append(...codes.map((_, i) => `user ${i} update`))
  await settleAll(at, webhookId, retry(3_600_000))
  const { rows: attempts } = await at.outbox.pool.query(
    'select id, event_id from walhook.attempts order by id',
  )
  for (const [i, code] of codes.entries())
    await at.outbox.pool.query('update walhook.attempts set error_message = $2 where id = $1', [
      attempts[i].id,
      failureTexts[code](facts as never),
    ])
  await at.token('viewer')
  const { rows: tokens } = await at.outbox.pool.query('select max(id) as id from walhook.tokens')
  await at.outbox.pool.query(
    `insert into walhook.gaps (slot_name, reason, detail, from_lsn, to_lsn, entity_type, table_name)
     values ($1, 'table dropped', $2, '0/1', '0/2', 'user', 'users')`,
    [at.control.slotName, theirs],
  )
  failed = attempts
  ids = {
    webhookId,
    eventId: attempts[0].event_id,
    attemptId: attempts[0].id,
    tokenId: tokens[0].id,
  }
})
afterAll(() => at[Symbol.asyncDispose]())

const pathOf = ({ path }: Page) =>
  path
    .replace('/couplings/:id', `/couplings/${ids.webhookId}`)
    .replace('/tokens/:id', `/tokens/${ids.tokenId}`)
    .replace(':event', ids.eventId)
    .replace(':attempt', ids.attemptId)
    .replace(/:\w+/, '1')

/** What a person reads of a page: its text, and what is said of elements. */
function readOf(page: string): string {
  const text = page
    .replaceAll(/<(pre|code|script|style)\b.*?<\/\1>/gs, ' ')
    .replaceAll(/\b\d{3} [A-Z]\w+( [A-Z]\w+)?/g, ' ')
    .replaceAll(/<(\w+)[^>]* lang="en"[^>]*>.*?<\/\1>/gs, ' ')
  const said = [...text.matchAll(/\b(?:aria-label|title|placeholder|alt)="([^"]*)"/g)].map(([, each]) => each)
  return [...said, text.replaceAll(/<[^>]*>/g, '\n')].join('\n')
}

const linesInEnglish = (page: string) =>
  readOf(page)
    .split('\n')
    .map(line => line.trim())
    .filter(line => english.test(line))

test.each(pages.filter(({ method }) => method === 'get').map(page => [page.path, page] as const))(
  '%s has no English text in Dutch',
  async (path, page) => {
    // A schema is a file for programs.
    if (/\/(live|schema)$/.test(path)) return
    const { text, status } = await at.get(pathOf(page), 'admin', dutch)
    expect(status).toBeLessThan(500)
    expect(linesInEnglish(text)).toEqual([])
  },
)

test('the pages of an attempt and an event have no English text in Dutch, for every failure', async () => {
  for (const { id, event_id } of failed)
    for (const path of [`/couplings/${ids.webhookId}/log/${id}`, `/events/${event_id}`]) {
      const { text } = await at.get(path, 'admin', dutch)
      // The alarm on every page is of the gap.
      expect(text.replaceAll(`<p lang="en">users: ${theirs}</p>`, '')).not.toContain('<p lang="en">')
      expect({ path, lines: linesInEnglish(text) }).toEqual({ path, lines: [] })
    }
})

/** What forms may name, right and wrong; each page takes what it knows. */
const forms = [
  {},
  { name: '', url: 'ftp://x', trigger: 'nobody.new', event_id: 'x', from: 'x', is_active: 'x', role: 'x' },
  { name: 'x', url: 'https://10.0.0.1/', trigger: 'user.new', timing: 'now', is_active: 'false', from: '2' },
  { name: 'x'.repeat(500), url: 'https://user:pw@x.example/#y', trigger: 'user.new', expires: '1', to: '1' },
  {
    header_name: 'host',
    header_value: 'x',
    certificate: 'x',
    key: 'x'.repeat(32),
    user_id: '999',
    event_id: '1',
  },
  { token: 'wrong', entity_type: 'nobody', rows_per_second: '0', after: '-1', token_id: '1', confirm: 'no' },
]
const posts = pages.filter(({ method }) => method === 'post').map(page => [page.path, page] as const)

test.each(posts)('the response to a form at %s has no English text in Dutch', async (_path, page) => {
  for (const role of ['viewer', 'operator', 'admin'] as const)
    for (const form of forms) {
      const { text, status } = await at.post(pathOf(page), form, role, { ...ours, ...dutch })
      expect(status).toBeLessThan(500)
      expect({ form, lines: linesInEnglish(text) }).toEqual({ form, lines: [] })
    }
})
