import type { LookupAddress, LookupOptions } from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createGuard, type Guard, TargetBlocked } from '../../src/delivery/sending/guard.ts'
import { readOwnNetworks } from '../../src/delivery/sending/own-networks.ts'
import { kindOfError } from '../../src/domain/capture/capture-failures.ts'
import { parseAddress, rangeHolds } from '../../src/domain/value/address.ts'
import { allowing } from '../domain/allowing.ts'

/** A guard whose resolver gives the next of `answers` at each call (the last one from then on). */
function guardWith(answers: string[][], allow = '') {
  const asked: string[] = []
  const guard = createGuard({
    allow: allowing(allow),
    resolve: async hostname => answers[Math.min(asked.push(hostname), answers.length) - 1]!,
  })
  return { guard, asked }
}

function failingGuard(error: Error) {
  return createGuard({
    allow: allowing(''),
    resolve: async () => {
      throw error
    },
  })
}

function hangingGuard() {
  const { promise } = Promise.withResolvers<string[]>()
  return createGuard({ allow: allowing(''), resolve: () => promise, resolveTimeoutMs: 5 })
}

type Looked = { error: NodeJS.ErrnoException | null; address: string | LookupAddress[]; family?: number }

function lookedUp(guard: Guard, hostname: string, options: LookupOptions): Promise<Looked> {
  return new Promise(resolve => {
    guard.lookup(hostname, options, (error, address, family) => {
      resolve(family === undefined ? { error, address } : { error, address, family })
    })
  })
}

const notFound = Object.assign(new Error('getaddrinfo ENOTFOUND a.example'), { code: 'ENOTFOUND' })

describe('check', () => {
  test('gives the checked URL and every address', async () => {
    const { guard, asked } = guardWith([['1.1.1.1', '2606:4700::1111']])
    const verdict = await guard.check('https://A.example/x')
    expect(verdict).toMatchObject({ ok: true, addresses: ['1.1.1.1', '2606:4700::1111'] })
    expect(verdict.ok && verdict.url.href).toBe('https://a.example/x')
    expect(asked).toEqual(['a.example'])
  })

  test.each([
    [['1.1.1.1', '10.0.0.5']],
    [['10.0.0.5', '1.1.1.1']],
    [['1.1.1.1', '8.8.8.8', '2606:4700::1', '::ffff:10.0.0.5']],
    [['1.1.1.1', 'fe80::1%eth0']],
    [['1.1.1.1', '169.254.169.254']],
  ])('one forbidden address refuses the host: %j', async answers => {
    const { guard } = guardWith([answers])
    const verdict = await guard.check('https://a.example/')
    expect(verdict).toMatchObject({ ok: false, code: 'blocked_target' })
    expect(!verdict.ok && verdict.reason).toContain('a.example resolves to')
  })

  test('refused URLs and IP literals are not resolved', async () => {
    const { guard, asked } = guardWith([['1.1.1.1']])
    expect(await guard.check('http://a.example/')).toMatchObject({ ok: false, code: 'blocked_target' })
    expect(await guard.check('https://127.0.0.1/')).toMatchObject({ ok: false, code: 'blocked_target' })
    expect(await guard.check('https://8.8.8.8/')).toMatchObject({ ok: true, addresses: ['8.8.8.8'] })
    expect(await guard.check('https://[2606:4700::1]/')).toMatchObject({
      ok: true,
      addresses: ['2606:4700::1'],
    })
    expect(asked).toEqual([])
  })

  test('a listed name allows its addresses, except cloud metadata', async () => {
    const { guard } = guardWith([['10.0.0.5'], ['10.0.0.5', '169.254.169.254']], 'app.internal')
    expect(await guard.check('http://app.internal./')).toMatchObject({ ok: true, addresses: ['10.0.0.5'] })
    expect(await guard.check('http://app.internal/')).toMatchObject({ ok: false, code: 'blocked_target' })
  })

  test('a name that resolves into an allowed range is allowed over https, and refused over http', async () => {
    const { guard } = guardWith([['10.0.0.5']], '10.0.0.0/8')
    expect(await guard.check('https://app.internal/')).toMatchObject({ ok: true })
    expect(await guard.check('http://app.internal/')).toMatchObject({ ok: false, code: 'blocked_target' })
  })

  test('a resolver that fails is a dns_error with its code', async () => {
    const verdict = await failingGuard(notFound).check('https://a.example/')
    expect(verdict).toMatchObject({ ok: false, code: 'dns_error' })
    expect(!verdict.ok && verdict.reason).toContain('a.example could not be resolved (ENOTFOUND)')
  })

  test('an empty DNS answer is a dns_error', async () => {
    const { guard } = guardWith([[]])
    expect(await guard.check('https://a.example/')).toMatchObject({ ok: false, code: 'dns_error' })
  })

  test('a hanging resolver times out', async () => {
    const verdict = await hangingGuard().check('https://a.example/')
    expect(verdict).toMatchObject({ ok: false, code: 'dns_error' })
    expect(!verdict.ok && verdict.reason).toContain('in time')
  })

  test("the system's resolver answers for localhost", async () => {
    const refused = await createGuard({ allow: allowing('') }).check('https://localhost/')
    expect(refused).toMatchObject({ ok: false, code: 'blocked_target' })
    const opened = await createGuard({ allow: allowing('localhost') }).check('http://localhost/')
    expect(opened.ok && opened.addresses.join()).toMatch(/127\.0\.0\.1|::1/)
  })
})

test('a port in the allow list allows that port only, for names too', async () => {
  const { guard } = guardWith([['10.0.0.5']], '10.0.0.5:8443')
  expect(await guard.check('https://a.example:8443/')).toMatchObject({ ok: true })
  expect(await guard.check('https://a.example/')).toMatchObject({ ok: false, code: 'blocked_target' })
  expect((await lookedUp(guard, 'a.example', { all: true, port: 8443 } as LookupOptions)).error).toBeNull()
  expect((await lookedUp(guard, 'a.example', { all: true })).error).toBeInstanceOf(TargetBlocked)
})

test('the deny list beats the allow list', async () => {
  const guard = createGuard({
    allow: allowing('10.0.0.0/8'),
    deny: allowing('10.0.0.5,b.example'),
    resolve: async () => ['10.0.0.5'],
  })
  expect(await guard.check('https://a.example/')).toMatchObject({ ok: false, code: 'blocked_target' })
  expect(guard.checkUrl('https://b.example/')).toMatchObject({ ok: false })
  expect(guard.checkUrl('http://10.0.0.6/').ok).toBe(true)
})

test('each of thousands of URLs is checked once', () => {
  const guard = createGuard({ allow: allowing('') })
  const urls = Array.from({ length: 20_000 }, (_, i) => `https://8.8.8.7/${i}?webhook=${i}`)
  const checked = urls.map(url => guard.checkUrl(url))
  expect(checked[7]).toEqual({ ok: true, origin: 'https://8.8.8.7', path: '/7?webhook=7' })
  expect(urls.every((url, i) => guard.checkUrl(url) === checked[i])).toBe(true)
})

test("the machine's networks are read and checked again", async () => {
  let cidrs = ['8.8.4.7/32']
  let now = 0
  const read = readOwnNetworks(
    () => now,
    () => cidrs,
  )
  const guard = createGuard({ allow: allowing(''), ownNetworks: read, resolve: async () => ['8.8.8.7'] })
  expect(guard.checkUrl('https://8.8.4.7/').ok).toBe(false)
  expect(guard.checkUrl('https://8.8.8.7/').ok).toBe(true)
  cidrs = ['8.8.8.7/24']
  now = 6_000
  expect(guard.checkUrl('https://8.8.4.7/').ok).toBe(true)
  expect(guard.checkUrl('https://8.8.8.7/').ok).toBe(false)
  expect((await lookedUp(guard, 'a.example', { all: true })).error).toBeInstanceOf(TargetBlocked)
})

test("if the system does not list the machine's networks, the error says so at once, with the fix", () => {
  const refuse = () => {
    throw new Error('uv_interface_addresses returned Unknown system error 97')
  }
  const start = () => readOwnNetworks(undefined, refuse)
  expect(start).toThrow(/system error 97\. Fix: .*AF_NETLINK/)
  // A start tries again where a database is lost, and this is none.
  expect(start).toThrow(expect.toSatisfy(error => kindOfError(error) === null))
})

test("the machine's networks come from its interfaces", () => {
  const loopback = parseAddress('127.0.0.1')!
  expect(readOwnNetworks()().some(range => rangeHolds(range, loopback))).toBe(true)
})

test.each(['EAI_AGAIN', 'ESERVFAIL', 'ECONNREFUSED'])(
  '%s at create is reported as failed DNS, not as a spelling mistake',
  async code => {
    const failed = Object.assign(new Error(`queryA ${code} a.example`), { code, syscall: 'queryA' })
    const verdict = await failingGuard(failed).check('https://a.example/')
    expect(verdict).toMatchObject({ ok: false, code: 'dns_error' })
    expect(!verdict.ok && verdict.reason).toMatch(/for now .* try again/)
    expect(!verdict.ok && verdict.reason).not.toContain('spelling')
  },
)

test('checkUrl checks the URL without asking the resolver', () => {
  const { guard, asked } = guardWith([['10.0.0.5']], '10.0.0.5')
  expect(guard.checkUrl('https://a.example/').ok).toBe(true)
  expect(guard.checkUrl('http://10.0.0.5/').ok).toBe(true)
  expect(guard.checkUrl('http://a.example/').ok).toBe(false)
  expect(guard.checkUrl('https://127.1/').ok).toBe(false)
  expect(asked).toEqual([])
})

describe('lookup', () => {
  const answers = ['2606:4700::1111', '1.1.1.1', '8.8.8.8']

  test('all: true returns exactly the checked addresses, in order, from one resolution', async () => {
    const { guard, asked } = guardWith([answers])
    expect(await lookedUp(guard, 'a.example', { all: true })).toEqual({
      error: null,
      address: [
        { address: '2606:4700::1111', family: 6 },
        { address: '1.1.1.1', family: 4 },
        { address: '8.8.8.8', family: 4 },
      ],
    })
    expect(asked).toEqual(['a.example'])
  })

  test.each([
    [undefined, '2606:4700::1111', 6],
    [0, '2606:4700::1111', 6],
    [6, '2606:4700::1111', 6],
    [4, '1.1.1.1', 4],
    ['IPv4', '1.1.1.1', 4],
    ['IPv6', '2606:4700::1111', 6],
  ] as const)(
    'all: false, family %s returns the first address of that family',
    async (family, address, found) => {
      const { guard } = guardWith([answers])
      const options = family === undefined ? {} : { family }
      expect(await lookedUp(guard, 'a.example', options)).toEqual({ error: null, address, family: found })
    },
  )

  test('no address of the requested family is ENOTFOUND', async () => {
    const { guard } = guardWith([['1.1.1.1']])
    const { error } = await lookedUp(guard, 'a.example', { family: 6, all: true })
    expect(error).toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'a.example' })
  })

  test('one forbidden address blocks, also of the other family', async () => {
    for (const options of [{ all: true }, {}, { family: 4 }]) {
      const { guard } = guardWith([['1.1.1.1', '::1']])
      const { error, address } = await lookedUp(guard, 'a.example', options)
      expect(error).toBeInstanceOf(TargetBlocked)
      expect(error).toMatchObject({ code: 'EBLOCKED', name: 'TargetBlocked' })
      expect(error!.message).toContain(
        'a.example resolves to an address that is not allowed: ::1 is a loopback',
      )
      expect(address).toHaveLength(0)
    }
  })

  test('a DNS answer that changes after creation is checked again', async () => {
    const { guard, asked } = guardWith([['1.1.1.1'], ['127.0.0.1']])
    expect(await guard.check('https://a.example/')).toMatchObject({ ok: true })
    expect((await lookedUp(guard, 'a.example', { all: true })).error).toBeInstanceOf(TargetBlocked)
    expect(asked).toHaveLength(2)
  })

  test('lookup allows a listed name too, except cloud metadata', async () => {
    const { guard } = guardWith([['10.0.0.5'], ['10.0.0.5'], ['169.254.169.254']], 'app.internal')
    expect(await lookedUp(guard, 'app.internal.', {})).toMatchObject({ error: null, address: '10.0.0.5' })
    expect((await lookedUp(guard, 'other.internal', {})).error).toBeInstanceOf(TargetBlocked)
    expect((await lookedUp(guard, 'app.internal', {})).error).toBeInstanceOf(TargetBlocked)
  })

  test("lookup returns the resolver's error unchanged", async () => {
    expect((await lookedUp(failingGuard(notFound), 'a.example', { all: true })).error).toBe(notFound)
  })

  test('lookup ends a hanging resolver with ETIMEOUT', async () => {
    const { error } = await lookedUp(hangingGuard(), 'a.example', { all: true })
    expect(error).toMatchObject({ code: 'ETIMEOUT', syscall: 'getaddrinfo' })
  })

  test('a real socket connects to the checked address, and to none when blocked', async () => {
    let accepted = 0
    const server = createServer(socket => {
      accepted++
      socket.end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    try {
      const open = guardWith([['127.0.0.1']], 'app.internal').guard
      const socket = connect({ host: 'app.internal', port, lookup: open.lookup })
      await once(socket, 'connect')
      expect(socket.remoteAddress).toBe('127.0.0.1')
      socket.destroy()
      const shut = guardWith([['127.0.0.1']]).guard
      const refused = connect({ host: 'app.internal', port, lookup: shut.lookup })
      const [error] = await once(refused, 'close').then(
        () => [undefined],
        failure => [failure],
      )
      expect(error).toBeInstanceOf(TargetBlocked)
      expect(accepted).toBe(1)
    } finally {
      server.close()
    }
  })
})

test('a name is resolved once at a time, and again afterwards', async () => {
  const { promise, resolve } = Promise.withResolvers<string[]>()
  const asked: string[] = []
  const guard = createGuard({
    allow: allowing(''),
    resolve: hostname => {
      asked.push(hostname)
      return promise
    },
  })
  const looks = [1, 2, 3].map(() => lookedUp(guard, 'a.example', { all: true }))
  const other = lookedUp(guard, 'b.example', { all: true })
  resolve(['1.1.1.1'])
  for (const { error, address } of await Promise.all([...looks, other]))
    expect({ error, address }).toEqual({ error: null, address: [{ address: '1.1.1.1', family: 4 }] })
  expect(asked).toEqual(['a.example', 'b.example'])
  await lookedUp(guard, 'a.example', { all: true })
  expect(asked).toEqual(['a.example', 'b.example', 'a.example'])
})

test('a failed resolution is repeated', async () => {
  let asked = 0
  const guard = createGuard({
    allow: allowing(''),
    resolve: async () => {
      if (++asked === 1) throw notFound
      return ['1.1.1.1']
    },
  })
  expect((await lookedUp(guard, 'a.example', {})).error).toBe(notFound)
  expect((await lookedUp(guard, 'a.example', {})).error).toBeNull()
})
