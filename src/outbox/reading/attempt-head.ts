import { createHash } from 'node:crypto'
import type { Attempt } from '../../domain/delivery/attempt.ts'
import { messageId } from '../../domain/event/event.ts'
import type { Outbox } from '../database/database.ts'
import { rows } from '../database/statement.ts'

type Headers = Readonly<Record<string, string>>

/** The common part of a webhook's attempts, with headers as JSON. */
type Head = {
  readonly webhookId: number
  readonly id: bigint
  readonly url: string
  readonly requestHeaders: string
  readonly responseHeaders: string | null
}

/** Headers of requests with values of their own, which are stored in this order: names are only ever added at its end. */
const ownNames = ['content-length', 'webhook-timestamp', 'webhook-signature', 'traceparent']

/** Headers of responses that describe the receiver's server, and not of the request. */
const serverNames = new Set([
  'access-control-allow-origin',
  'alt-svc',
  'cache-control',
  'connection',
  'content-type',
  'pragma',
  'referrer-policy',
  'server',
  'strict-transport-security',
  'transfer-encoding',
  'vary',
  'x-content-type-options',
  'x-frame-options',
  'x-powered-by',
  'x-xss-protection',
])

/** An attempt's own part; `messageId` null: it follows from the event. */
type Divided = {
  readonly head: Head
  readonly ownHeaders: string
  readonly responseHeaders: string | null
  readonly messageId: string | null
}

/**
 * A webhook's last attempt, divided. The next one usually has the same head and, within the same second, the same response
 * headers: comparing costs a tenth of writing them.
 */
type Last = {
  readonly url: string
  readonly sent: Headers
  readonly isIdOwn: boolean
  readonly received: Headers | null
  readonly head: Head
  readonly responseHeaders: string | null
}

/** More webhooks than a process serves; 60 MB at most, since a receiver may send other, long headers each time. */
const maxKnown = 30_000
const longestKnown = 1_000
const lastOf = new Map<number, Last>()

/** The head of an attempt, and its own part. */
export function divide(attempt: Attempt): Divided {
  const { webhookId, messageId: id, request, response } = attempt
  const headers = request.headers
  const own = { ownHeaders: ownOf(headers), messageId: isOfEvent(attempt) ? null : id }
  const isIdOwn = headers['webhook-id'] === id
  const received = response?.headers ?? null
  const before = lastOf.get(webhookId)
  const hasSameHead =
    before !== undefined &&
    before.url === request.url &&
    before.isIdOwn === isIdOwn &&
    isSame(headers, before.sent, name => isOwn.has(name) || (isIdOwn && name === 'webhook-id')) &&
    isOfSameServer(received, before.received)
  if (hasSameHead && isSame(received ?? none, before.received ?? none))
    return { ...own, head: before.head, responseHeaders: before.responseHeaders }
  const head = hasSameHead ? before.head : headOf(attempt, isIdOwn, partOf(received, true))
  if (!hasSameHead && received !== null && !isAccepted(head))
    return { ...own, head: headOf(attempt, isIdOwn, '{}'), responseHeaders: JSON.stringify(received) }
  const last = {
    url: request.url,
    sent: headers,
    isIdOwn,
    received,
    head,
    responseHeaders: partOf(received, false),
  }
  remember(webhookId, last)
  return { ...own, head, responseHeaders: last.responseHeaders }
}

function remember(webhookId: number, last: Last): void {
  const { head, responseHeaders } = last
  if (lastOf.size >= maxKnown && !lastOf.has(webhookId)) lastOf.clear()
  const length = head.url.length + head.requestHeaders.length + (head.responseHeaders?.length ?? 0)
  if (length + (responseHeaders?.length ?? 0) > longestKnown) lastOf.delete(webhookId)
  else lastOf.set(webhookId, last)
}

/** A receiver whose server headers change with each response gets so many heads; later responses are stored whole. */
const maxResponseHeads = 8
/** 20 MB at most. */
const maxAccepted = 100_000
const accepted = new Set<bigint>()
/** The number of accepted heads, by webhook and URL. */
const headsOfUrl = new Map<string, number>()

/** Whether a head may be stored; otherwise it is one too many. */
function isAccepted({ webhookId, id, url }: Head): boolean {
  if (accepted.has(id)) return true
  const of = `${webhookId} ${url}`
  const count = headsOfUrl.get(of) ?? 0
  if (count >= maxResponseHeads) return false
  if (accepted.size >= maxAccepted || headsOfUrl.size >= maxKnown) {
    accepted.clear()
    headsOfUrl.clear()
  }
  accepted.add(id)
  headsOfUrl.set(of, count + 1)
  return true
}

/** Equal heads have one id. */
function headOf({ webhookId, request }: Attempt, isIdOwn: boolean, responseHeaders: string | null): Head {
  const sent: Record<string, string | null> = { ...request.headers }
  for (const name of ownNames) if (Object.hasOwn(sent, name)) sent[name] = null
  if (isIdOwn) sent['webhook-id'] = null
  const { url } = request
  const requestHeaders = JSON.stringify(sent)
  const id = createHash('sha256')
    .update(`${url}\n${requestHeaders}\n${responseHeaders}`)
    .digest()
    .readBigInt64BE()
  return { webhookId, id, url, requestHeaders, responseHeaders }
}

/** The request's own values, in order. */
function ownOf(headers: Headers): string {
  let own = ''
  for (const name of ownNames) {
    const value = headers[name]
    if (value !== undefined) own += own === '' ? value : `\n${value}`
  }
  return own
}

/** The headers of a response that describe its server, or the others, as JSON. */
function partOf(received: Headers | null, isOfServer: boolean): string | null {
  if (received === null) return null
  const part = Object.entries(received).filter(([name]) => serverNames.has(name) === isOfServer)
  return JSON.stringify(Object.fromEntries(part))
}

const isOfEvent = ({ webhookId, eventId, messageId: id }: Attempt) =>
  eventId !== null && id === messageId(webhookId, eventId)

const none: Headers = {}
const isOwn = new Set(ownNames)

/** Whether headers have the same names, and values except those that may differ. */
function isSame(a: Headers, b: Headers, mayDiffer = (_name: string) => false): boolean {
  for (const name in a) if (!Object.hasOwn(b, name) || (a[name] !== b[name] && !mayDiffer(name))) return false
  for (const name in b) if (!Object.hasOwn(a, name)) return false
  return true
}

function isOfSameServer(a: Headers | null, b: Headers | null): boolean {
  if (a === null || b === null) return a === b
  for (const name of serverNames) if (a[name] !== b[name]) return false
  return true
}

/** Heads, each once, in the order in which they are locked. */
export function headsOf(divided: readonly { readonly head: Head }[]): Head[] {
  const heads = new Map(divided.map(({ head }) => [`${head.webhookId} ${head.id}`, head]))
  return [...heads.values()].sort((a, b) => a.webhookId - b.webhookId || (a.id < b.id ? -1 : 1))
}

export const headRows = rows<Head>({
  webhookId: 'int',
  id: 'bigint',
  url: 'text',
  requestHeaders: 'text',
  responseHeaders: 'text',
})

/** Stores the `given` heads, or extends their two days of use once a day. Without anything to do it locks and writes nothing. */
export const noteHeads = (given: (alias: string) => string) => `
with s as materialized (
  select s.*, now() + interval '2 days' as used_until
  from ${given('s')}
  where not exists (
    select 1 from walhook.attempt_heads h
    where h.webhook_id = s.webhook_id and h.id = s.id and h.used_until > now() + interval '1 day'
    offset 0
  )
)
insert into walhook.attempt_heads (webhook_id, id, url, request_headers, response_headers, used_until)
select webhook_id, id, url, request_headers::jsonb, response_headers::jsonb, used_until from s
on conflict (webhook_id, id) do update set used_until = excluded.used_until`

/** Columns of the head `h` of an attempt `a`, and the join that finds it. */
export const headColumns = `
h.url as head_url, h.request_headers as head_request_headers, h.response_headers as head_response_headers`
export const joinHead = `
left join walhook.attempt_heads h on h.webhook_id = a.webhook_id and h.id = a.head_id`

type Row = {
  readonly webhook_id: number
  readonly event_id: bigint | null
  readonly message_id: string | null
  readonly url: string | null
  readonly request_headers: Headers | null
  readonly response_headers: Headers | null
  readonly own_headers: string
  readonly head_url: string
  readonly head_request_headers: Readonly<Record<string, string | null>>
  readonly head_response_headers: Headers | null
}

/** The reverse of `divide`. Response headers are empty if the log does not keep the response. */
export function unite(row: Row) {
  const id = row.message_id ?? messageId(row.webhook_id, row.event_id!)
  const responseHeaders = row.response_headers && { ...row.head_response_headers, ...row.response_headers }
  const united = { messageId: id, responseHeaders: responseHeaders ?? {} }
  if (row.request_headers !== null)
    return { ...united, request: { url: row.url!, headers: row.request_headers } }
  const common = row.head_request_headers
  const own = row.own_headers.split('\n')
  const there = ownNames.filter(name => common[name] === null)
  const values: Record<string, string> = { 'webhook-id': id }
  for (const [i, name] of there.entries()) values[name] = own[i]!
  const headers = Object.entries(common).map(([name, value]) => [name, value ?? values[name]!])
  return { ...united, request: { url: row.head_url, headers: Object.fromEntries(headers) as Headers } }
}

/** Removes the heads to which no attempt refers any more. */
export async function pruneHeads(outbox: Outbox): Promise<void> {
  await outbox.pool.query(`
    delete from walhook.attempt_heads h
    where used_until < now()
      and not exists (
        select 1 from walhook.attempts a
        where a.webhook_id = h.webhook_id and a.id < (extract(epoch from h.used_until) * 1000)::bigint << 20
      )
      and not exists (
        select 1 from walhook.kept_attempts k where k.webhook_id = h.webhook_id and k.head_id = h.id
      )`)
}
