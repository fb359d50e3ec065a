import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { parseTrustedProxies } from '../../src/domain/access/client-address.ts'
import { parsePublicUrls } from '../../src/domain/access/public-url.ts'
import { createGate, type Handler } from '../../src/gate/gate.ts'
import { passageOf, type Visit } from '../../src/gate/passage.ts'
import { listenHttp } from '../../src/runtime/http-server.ts'
import { until } from '../support/wait.ts'

const token = 'a-token'
const authorization = `Bearer ${token}`

/** A gate in front of a handler, on a port of its own. */
async function open(
  answer: (request: Request, visit: Visit) => Response | Promise<Response> = () => new Response('here'),
  settings: { urls?: string; proxies?: string; isStarting?: boolean } = {},
) {
  const urls = parsePublicUrls(settings.urls ?? '')
  const proxies = parseTrustedProxies(settings.proxies ?? '')
  if (!urls.ok || !proxies.ok) throw new Error('the settings are wrong')
  const gate = createGate({ urls: urls.urls, trustedProxies: proxies.ranges })
  const handler: Handler = {
    fetch: (request, env) => answer(request, (env as { visit: Visit }).visit),
    passageOf: head =>
      passageOf(head, {
        classifyToken: text => (text === token ? { is: 'holder', key: text } : { is: 'invented' }),
        classifySession: text => ({ is: text === 'old' ? 'perhaps' : 'invented' }),
      }),
  }
  if (!settings.isStarting) gate.open(handler)
  const listening = await listenHttp(gate.onRequest, { host: '127.0.0.1', port: 0 })
  if (!listening.ok) throw new Error(listening.problem.found)
  onTestFinished(() => listening.server[Symbol.asyncDispose]())
  const { url } = listening.server
  const port = Number(new URL(url).port)
  return {
    open: () => gate.open(handler),
    call: (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, init),
    /** A connection on which bytes are written as they are; all that comes back. */
    raw(text: string) {
      const socket: Socket = connect(port, '127.0.0.1')
      let answered = ''
      socket.on('data', data => {
        answered += data
      })
      socket.on('error', () => {})
      socket.write(text)
      onTestFinished(() => void socket.destroy())
      return { socket, answered: () => answered, closed: once(socket, 'close') }
    },
  }
}

/** A request whose body begins, and goes no further. */
const half = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 8000\r\n\r\ntoken=`

/** A handler that answers nobody before it is told to. */
function holding() {
  const gate = Promise.withResolvers<void>()
  const seen: string[] = []
  return {
    seen,
    letGo: () => gate.resolve(),
    async answer(_request: Request, { address }: Visit) {
      seen.push(address)
      await gate.promise
      return new Response('here')
    },
  }
}

test('until everything has started, each request gets a 503, except liveness', async () => {
  const at = await open(undefined, { isStarting: true })
  expect((await at.call('/livez')).status).toBe(200)
  const api = await at.call('/api/webhooks')
  expect({
    status: api.status,
    type: api.headers.get('content-type'),
    again: api.headers.get('retry-after'),
  }).toEqual({
    status: 503,
    type: 'application/problem+json',
    again: '1',
  })
  expect((await at.call('/readyz')).status).toBe(503)
  expect(await (await at.call('/couplings')).text()).toContain('walhook is starting')
  at.open()
  expect(await (await at.call('/couplings')).text()).toBe('here')
})

test('without a free permit requests wait, and with a full queue they get Retry-After', async () => {
  const hold = holding()
  const at = await open(hold.answer)
  const answers: Response[] = []
  const all = Array.from({ length: 200 }, async () =>
    answers.push(await at.call('/api/webhooks', { headers: { authorization } })),
  )
  // One token has 4 of the places, and 32 wait.
  await until(() => answers.length === 164, { what: 'the others to be refused' })
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
  const [first] = answers
  expect(first!.headers.get('retry-after')).toBe('1')
  expect(first!.headers.get('content-type')).toBe('application/problem+json')
  expect(await first!.json()).toMatchObject({ status: 503, title: 'Busy' })
  expect(hold.seen).toHaveLength(4)
  hold.letGo()
  await Promise.all(all)
  expect(new Set(answers.slice(164).map(({ status }) => status))).toEqual(new Set([200]))
})

test('a request with an impossible token takes no permit, and its body is not read', async () => {
  const hold = holding()
  const at = await open((request, visit) =>
    request.headers.get('authorization') === authorization
      ? hold.answer(request, visit)
      : new Response('no', { status: 401 }),
  )
  const busy = Array.from({ length: 4 }, () => at.call('/api/webhooks', { headers: { authorization } }))
  await until(() => hold.seen.length === 4, { what: 'the places to be taken' })
  const stranger = await at.call('/api/webhooks', { method: 'POST', body: 'x'.repeat(100_000) })
  expect(stranger.status).toBe(401)
  hold.letGo()
  await Promise.all(busy)
})

test('a permit is returned when its client disconnects', async () => {
  const never = new Promise<Response>(() => {})
  let seen = 0
  const at = await open(() => {
    seen++
    return seen <= 4 ? never : new Response('here')
  })
  const request = `GET /api/webhooks HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`
  // Two of them behind others on their connection.
  const [one, two] = [at.raw(request.repeat(2)), at.raw(request.repeat(2))]
  await until(() => seen === 4, { what: 'the places to be taken' })
  one.socket.destroy()
  two.socket.destroy()
  expect(await (await at.call('/api/webhooks', { headers: { authorization } })).text()).toBe('here')
})

test('every spelling of a path needs the same permit', async () => {
  const hold = holding()
  const at = await open(hold.answer)
  const paths = [
    '/api/webhooks/1/log',
    '/api/webhooks/%31/log',
    '/api/webhooks/1/l%6Fg',
    '/%61pi/webhooks/1/log',
  ]
  const all = paths.map(path => at.call(path, { headers: { authorization } }))
  await until(() => hold.seen.length > 0, { what: 'the first to be handled' })
  // Of large answers, one token gets one at a time: a small one that comes later is handled before the others.
  const small = at.call('/api/webhooks', { headers: { authorization } })
  await until(() => hold.seen.length > 1, { what: 'the small one to be handled' })
  expect(hold.seen).toHaveLength(2)
  hold.letGo()
  await small
  await Promise.all(all)
})

test('strangers that hold all their permits block neither token holders nor liveness', async () => {
  const hold = holding()
  const isHeld = ({ url }: Request) => /login|couplings|assets/.test(url)
  const at = await open((request, visit) =>
    isHeld(request) ? hold.answer(request, visit) : new Response('here'),
  )
  const strangers = [
    ...Array.from({ length: 10 }, () => at.call('/login', { method: 'POST', body: 'token=x' })),
    // One that may be of a version before: it would take a query to know.
    ...Array.from({ length: 10 }, () =>
      at.call('/couplings', { headers: { cookie: 'walhook_session=old' } }),
    ),
    ...Array.from({ length: 200 }, () => at.call('/assets/walhook.js')),
    // And bodies that never end.
    ...Array.from({ length: 32 }, () => at.raw(half('/login'))),
  ]
  // Two of an address are strangers' who may ask the database, 16 for files.
  await until(() => hold.seen.length === 18, { what: 'all that an address gets to be held' })
  expect(await (await at.call('/livez')).text()).toBe('here')
  expect(await (await at.call('/readyz')).text()).toBe('here')
  expect(await (await at.call('/metrics')).text()).toBe('here')
  const holder = await at.call('/api/webhooks', { method: 'POST', body: '{}', headers: { authorization } })
  expect(await holder.text()).toBe('here')
  expect(hold.seen).toHaveLength(18)
  hold.letGo()
  await Promise.allSettled(strangers)
})

test('a connection that pipelines too many requests is closed', async () => {
  const hold = holding()
  const at = await open(hold.answer)
  const { closed } = at.raw('GET /login HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1_000))
  await closed
  expect(hold.seen.length).toBeLessThanOrEqual(8)
  hold.letGo()
})

test.each([
  ['/login', 'application/x-www-form-urlencoded', 8 * 1024, 413],
  ['/language', 'application/x-www-form-urlencoded', 8 * 1024, 413],
  ['/api/webhooks', 'application/json', 64 * 1024, 413],
])(
  '%s accepts a body of its limit, and no larger one, with or without content-length',
  async (path, type, max, status) => {
    const at = await open(async request => new Response(String((await request.text()).length)))
    const send = (body: string | ReadableStream, more: object = {}) =>
      at.call(path, { method: 'POST', body, headers: { authorization, 'content-type': type }, ...more })
    expect(await (await send('x'.repeat(max))).text()).toBe(String(max))
    const refused = await send('x'.repeat(max + 1))
    expect({ status: refused.status, text: await refused.text() }).toEqual({
      status,
      text: expect.stringContaining(`The body is too large: at most ${max} bytes are allowed.`),
    })
    const unannounced = new Blob(['x'.repeat(max + 1)]).stream()
    expect((await send(unannounced, { duplex: 'half' })).status).toBe(status)
  },
)

test('only a few endless bodies are read at a time, and others are refused at once', async () => {
  const at = await open()
  const all = Array.from({ length: 100 }, () => at.raw(half('/login')))
  await until(() => all.filter(({ answered }) => answered().startsWith('HTTP/1.1 503')).length === 68, {
    what: 'all but 32 to be refused',
  })
  for (const { socket } of all) socket.destroy()
  // And the places to read come back.
  await until(async () => (await at.call('/login', { method: 'POST', body: 'token=x' })).status === 200, {
    what: 'a whole body to be read',
  })
})

test('hosts other than those of WALHOOK_URL are refused, except for probes and metrics', async () => {
  const at = await open(undefined, { urls: 'https://walhook.example.com,http://walhook:8080' })
  const status = async (path: string, host: string, target = path) => {
    const { answered, closed } = at.raw(
      `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    )
    await closed
    return Number(answered().split(' ')[1])
  }
  for (const path of ['/login', '/api/webhooks', '/assets/walhook.js', '/couplings']) {
    expect(await status(path, 'walhook.example.com')).toBe(200)
    expect(await status(path, 'walhook:8080')).toBe(200)
    expect(await status(path, 'evil.example')).toBe(421)
    expect(await status(path, '127.0.0.1')).toBe(421)
    // A whole URL as the target counts before the header.
    expect(await status(path, 'walhook.example.com', `http://evil.example${path}`)).toBe(421)
  }
  for (const path of ['/livez', '/readyz', '/metrics']) expect(await status(path, '10.0.0.7:8080')).toBe(200)
})

test('HTTP/1.0 without a Host is accepted, and a request with two is refused', async () => {
  const at = await open()
  const statusOf = async (text: string) => {
    const { answered, closed } = at.raw(text)
    await closed
    return answered().split(' ')[1]
  }
  for (const path of ['/livez', '/readyz', '/login'])
    expect(await statusOf(`GET ${path} HTTP/1.0\r\n\r\n`)).toBe('200')
  const two = 'host: a\r\nhost: b\r\nconnection: close\r\n'
  expect(await statusOf(`GET /login HTTP/1.1\r\n${two}\r\n`)).toBe('400')
})

test('a handler gets the client address and https from a trusted proxy only', async () => {
  const told = (_request: Request, { address, isHttps }: Visit) => Response.json({ address, isHttps })
  const headers = { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' }
  const ask = async (settings: object) =>
    (await (await open(told, settings)).call('/login', { headers })).json()
  expect(await ask({ proxies: '127.0.0.0/8' })).toEqual({ address: '198.51.100.7', isHttps: true })
  expect(await ask({ proxies: '10.0.0.0/8' })).toEqual({ address: '127.0.0.1', isHttps: false })
  // As ever: who says it falsely only harms their own log-in.
  expect(await ask({})).toEqual({ address: '127.0.0.1', isHttps: true })
})

test('streams hold no permits, and their number is bounded', async () => {
  const controllers: ReadableStreamDefaultController[] = []
  const at = await open((request, visit) => {
    if (!request.url.endsWith('stream')) return new Response('here')
    if (!visit.stream()) return new Response('too many', { status: 503 })
    return new Response(new ReadableStream({ start: controller => void controllers.push(controller) }))
  })
  const follow = () => at.call('/api/webhooks?stream', { headers: { authorization } })
  const some = () => Promise.all(Array.from({ length: 20 }, follow))
  const all = [...(await some()), ...(await some())]
  expect(all.filter(({ status }) => status === 200)).toHaveLength(24)
  expect(await (await at.call('/api/webhooks', { headers: { authorization } })).text()).toBe('here')
  for (const controller of controllers) controller.close()
  await Promise.all(all.map(response => response.text()))
  expect((await follow()).status).toBe(200)
  controllers.at(-1)!.close()
})

test('every response forbids content sniffing, also those of the gate', async () => {
  const at = await open(undefined, { urls: 'http://127.0.0.1' })
  const plain = await open()
  for (const response of [
    await at.call('/'),
    await plain.call('/'),
    await plain.call('/api/x'),
    await plain.call('/metrics'),
  ])
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
})

test.each([
  [{ 'accept-language': 'nl-NL,en;q=0.5' }, 'nl'],
  [{ 'accept-language': 'en-GB,nl;q=0.5' }, 'en'],
  [{ 'accept-language': 'fr, nl;q=0.5' }, 'nl'],
  [{ 'accept-language': 'nl', cookie: 'a=b; walhook_language=en' }, 'en'],
  [{ cookie: 'walhook_language=nl' }, 'nl'],
  [{}, 'en'],
])('a refused page for the language %j is in %s', async (headers, language) => {
  const at = await open(undefined, { isStarting: true })
  const refused = await at.call('/couplings', { headers: headers as Record<string, string> })
  expect(refused.status).toBe(503)
  const sentence = language === 'nl' ? 'walhook start nog. Probeer het zo opnieuw.' : 'walhook is starting.'
  expect(await refused.text()).toMatch(new RegExp(`<html lang="${language}">.*${sentence}`))
})
