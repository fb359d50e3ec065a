import { type Asked, apiPaths, filled, named, otherPaths, pagePaths } from './all-paths.ts'
import type { Flood } from './flood.ts'

/** What stands for the parameters of paths. */
export const parameters = [
  'id',
  'attempt_id',
  'event_id',
  'attempt',
  'event',
  'replay_id',
  'replay',
  'backfill',
  'trigger',
] as const
export type Values = Readonly<Record<(typeof parameters)[number], string | number>>

export type Line = readonly [name: string, flood: Partial<Flood>]

const perMinute = 3_000
const ours = { 'sec-fetch-site': 'same-origin' }
const inventedToken = { authorization: 'Bearer whk_$RANDOM' }
const inventedCookie = { cookie: 'walhook_session=whs_$RANDOM' }
/** What a log-in or another form sends; a guarded one gets no further than its size. */
const bodies: Readonly<Record<string, string>> = {
  'POST /login': 'token=whk_$RANDOM',
  'POST /language': 'language=nl',
}

/**
 * What a stranger asks for: each open path by itself, and all that need a token without one, and with one that is made up.
 * Then what no path stands for: requests that wait for no answer, bodies and answers that stop half-way.
 */
export function strangersLines(values: Values): Line[] {
  const open = otherPaths().map((asked): Line => {
    const body = bodies[named(asked)] ?? (asked.method === 'GET' ? undefined : 'x=y')
    return [named(asked), { ask: [asked], headers: ours, ...(body !== undefined && { body }) }]
  })
  const api = fill(apiPaths, values)
  const pages = fill(pagePaths, values)
  const guarded = { body: '{"name":"x"}' }
  return [
    ...open,
    ['GET /login, invented cookies', { ask: [get('/login')], headers: inventedCookie }],
    ['GET /readyz, invented tokens', { ask: [get('/readyz')], headers: inventedToken }],
    ['GET /nowhere', { ask: [get('/nowhere'), get('/api/nowhere')] }],
    ['the API, no token', { ask: api, ...guarded }],
    ['the API, invented tokens', { ask: api, headers: inventedToken, ...guarded }],
    ['pages, no cookie', { ask: pages, headers: ours, body: 'x=y' }],
    ['pages, invented cookies', { ask: pages, headers: { ...ours, ...inventedCookie }, body: 'x=y' }],
    ['pipelined, invented cookies', { kind: 'pipelined', ask: [get('/')], headers: inventedCookie }],
    ['2,500 half-sent bodies to /login', { kind: 'half', ask: [get('/login')], count: 2_500 }],
    ['2,500 requests with half a head', { kind: 'half head', ask: [get('/login')], count: 2_500 }],
    ['500 that read no answer', { kind: 'unread', ask: [get('/api/openapi.json')], count: 500 }],
  ]
}

/** What the holder of a viewer's token asks for, 3,000 times a minute: all of it in turn, and each path by itself. */
export function viewersLines(values: Values, token: string, cookie: string): Line[] {
  const authorization = { authorization: `Bearer ${token}` }
  const session = { cookie, ...ours }
  const api = fill(apiPaths, values)
  const pages = fill(pagePaths, values)
  const bodied = { body: '{"name":"x"}' }
  const usual = { connections: 32, perSecond: perMinute / 60 }
  const whole = { ...usual, count: perMinute }
  const short = { ...usual, count: perMinute / 5 }
  const own = (list: readonly (Asked & { role: string })[], headers: Record<string, string>) =>
    list
      .filter(({ method, role }) => method === 'GET' && role === 'viewer')
      .map((asked): Line => [`viewer: ${named(asked)}`, { ...short, ask: [asked], headers }])
  return [
    ['viewer: the API', { ...whole, ...bodied, ask: api, headers: authorization }],
    ['viewer: pages', { ...whole, body: 'x=y', ask: pages, headers: session }],
    ...own(api, authorization),
    ...own(pages, session),
    ['viewer: GET /readyz', { ...short, ask: [get('/readyz')], headers: authorization }],
    [
      'viewer: 64 follow the log',
      {
        kind: 'follow',
        ask: [get(filled('/couplings/{id}/log/live', values))],
        headers: { ...session, accept: 'text/event-stream' },
        count: 64,
      },
    ],
  ]
}

const get = (path: string): Asked => ({ method: 'GET', path })

/** With values, and as much as a list gives at once. */
function fill<Path extends Asked & { hasLimit?: boolean }>(paths: readonly Path[], values: Values): Path[] {
  return paths.map(asked => ({
    ...asked,
    path: filled(asked.path, values) + (asked.hasLimit ? '?limit=100' : ''),
  }))
}
