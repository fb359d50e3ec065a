import { describe, expect, test } from 'vitest'
import { ownNetworks } from '../../src/domain/webhook/own-networks.ts'
import { checkAddress, checkResolvedAddress } from '../../src/domain/webhook/target.ts'
import { allowing, reasonOf } from './allowing.ts'

const nothing = allowing('')
const ones = 'ffff:ffff:ffff:ffff'

type Edge = [address: string, isAllowed: boolean] | null

/** Each refused range with its first and last address, and the neighbours on both sides with their verdict. */
const ranges: [cidr: string, first: string, last: string, before: Edge, after: Edge][] = [
  ['0.0.0.0/8', '0.0.0.0', '0.255.255.255', null, ['1.0.0.0', true]],
  ['10.0.0.0/8', '10.0.0.0', '10.255.255.255', ['9.255.255.255', true], ['11.0.0.0', true]],
  ['100.64.0.0/10', '100.64.0.0', '100.127.255.255', ['100.63.255.255', true], ['100.128.0.0', true]],
  ['127.0.0.0/8', '127.0.0.0', '127.255.255.255', ['126.255.255.255', true], ['128.0.0.0', true]],
  ['169.254.0.0/16', '169.254.0.0', '169.254.255.255', ['169.253.255.255', true], ['169.255.0.0', true]],
  ['172.16.0.0/12', '172.16.0.0', '172.31.255.255', ['172.15.255.255', true], ['172.32.0.0', true]],
  ['192.0.0.0/24', '192.0.0.0', '192.0.0.255', ['191.255.255.255', true], ['192.0.1.0', true]],
  ['192.0.2.0/24', '192.0.2.0', '192.0.2.255', ['192.0.1.255', true], ['192.0.3.0', true]],
  ['192.88.99.0/24', '192.88.99.0', '192.88.99.255', ['192.88.98.255', true], ['192.88.100.0', true]],
  ['192.168.0.0/16', '192.168.0.0', '192.168.255.255', ['192.167.255.255', true], ['192.169.0.0', true]],
  ['198.18.0.0/15', '198.18.0.0', '198.19.255.255', ['198.17.255.255', true], ['198.20.0.0', true]],
  ['198.51.100.0/24', '198.51.100.0', '198.51.100.255', ['198.51.99.255', true], ['198.51.101.0', true]],
  ['203.0.113.0/24', '203.0.113.0', '203.0.113.255', ['203.0.112.255', true], ['203.0.114.0', true]],
  ['224.0.0.0/4', '224.0.0.0', '239.255.255.255', ['223.255.255.255', true], ['240.0.0.0', false]],
  ['240.0.0.0/4', '240.0.0.0', '255.255.255.255', ['239.255.255.255', false], null],
  ['::/8', '::', `ff:ffff:ffff:ffff:${ones}`, null, ['100::', false]],
  [
    '64:ff9b::/32',
    '64:ff9b::',
    `64:ff9b:ffff:ffff:${ones}`,
    [`64:ff9a:ffff:ffff:${ones}`, false],
    ['64:ff9c::', false],
  ],
  ['100::/64', '100::', `100::${ones}`, [`ff:ffff:ffff:ffff:${ones}`, false], ['100:0:0:1::', false]],
  [
    '2001::/23',
    '2001::',
    `2001:1ff:ffff:ffff:${ones}`,
    [`2000:ffff:ffff:ffff:${ones}`, true],
    ['2001:200::', true],
  ],
  [
    '2001:db8::/32',
    '2001:db8::',
    `2001:db8:ffff:ffff:${ones}`,
    [`2001:db7:ffff:ffff:${ones}`, true],
    ['2001:db9::', true],
  ],
  [
    '2002::/16',
    '2002::',
    `2002:ffff:ffff:ffff:${ones}`,
    [`2001:ffff:ffff:ffff:${ones}`, true],
    ['2003::', true],
  ],
  [
    '3fff::/20',
    '3fff::',
    `3fff:fff:ffff:ffff:${ones}`,
    [`3ffe:ffff:ffff:ffff:${ones}`, true],
    ['3fff:1000::', true],
  ],
  [
    '5f00::/16',
    '5f00::',
    `5f00:ffff:ffff:ffff:${ones}`,
    [`5eff:ffff:ffff:ffff:${ones}`, false],
    ['5f01::', false],
  ],
  [
    'fc00::/7',
    'fc00::',
    `fdff:ffff:ffff:ffff:${ones}`,
    [`fbff:ffff:ffff:ffff:${ones}`, false],
    ['fe00::', false],
  ],
  [
    'fe80::/10',
    'fe80::',
    `febf:ffff:ffff:ffff:${ones}`,
    [`fe7f:ffff:ffff:ffff:${ones}`, false],
    ['fec0::', false],
  ],
  [
    'fec0::/10',
    'fec0::',
    `feff:ffff:ffff:ffff:${ones}`,
    [`febf:ffff:ffff:ffff:${ones}`, false],
    ['ff00::', false],
  ],
  ['100:0:0:1::/64', '100:0:0:1::', `100:0:0:1:${ones}`, [`100::${ones}`, false], ['100:0:0:2::', false]],
  ['::/3', '::', `1fff:ffff:ffff:ffff:${ones}`, null, ['2000::', true]],
  [
    '4000::/2',
    '4000::',
    `7fff:ffff:ffff:ffff:${ones}`,
    [`3fff:ffff:ffff:ffff:${ones}`, true],
    ['8000::', false],
  ],
  ['8000::/1', '8000::', `ffff:ffff:ffff:ffff:${ones}`, [`7fff:ffff:ffff:ffff:${ones}`, false], null],
  ['ff00::/8', 'ff00::', `ffff:ffff:ffff:ffff:${ones}`, [`feff:ffff:ffff:ffff:${ones}`, false], null],
]

/** mulberry32: the same addresses in every run. */
function randomBytes(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) & 0xff
  }
}

const cloudMetadata = [
  '169.254.169.254',
  '169.254.170.2',
  '168.63.129.16',
  '100.100.100.200',
  'fd00:ec2::254',
]

describe('checkAddress', () => {
  test.each(ranges)('%s: refuses its first and last address, and allows their neighbours', (...row) => {
    const [, first, last, before, after] = row
    const edges: Edge[] = [[first, false], [last, false], before, after]
    for (const edge of edges) {
      if (edge === null) continue
      const [address, isAllowed] = edge
      expect([address, checkAddress(address, nothing).ok]).toEqual([address, isAllowed])
    }
  })

  test.each(ranges)('%s: an allow list entry opens exactly this range', (...row) => {
    const [cidr, first, last, before, after] = row
    const allow = allowing(cidr)
    expect(checkAddress(first, allow)).toEqual({ ok: true })
    expect(checkAddress(last, allow)).toEqual({ ok: true })
    for (const edge of [before, after]) {
      if (edge !== null) expect([edge[0], checkAddress(edge[0], allow).ok]).toEqual(edge)
    }
  })

  test.each([
    '::',
    '::1',
    '::7f00:1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:0:8.8.8.8',
    '::FFFF:7F00:1',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '64:ff9b:0:1::1',
    '2002:7f00:1::',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    'fd12:3456::1',
    'FE80::1',
    '255.255.255.255',
  ])('refuses %s', address => {
    expect(checkAddress(address, nothing).ok).toBe(false)
  })

  test.each(['1.1.1.1', '8.8.8.8', '93.184.215.14', '2606:4700::1111', '2a00:1450:4001:81b::200e'])(
    'allows %s',
    address => {
      expect(checkAddress(address, nothing)).toEqual({ ok: true })
    },
  )

  test.each([
    '',
    'localhost',
    '127.1',
    '0x7f000001',
    '010.0.0.1',
    'fe80::1%eth0',
    '[::1]',
    '1.2.3.4.5',
    ':::',
  ])('refuses %j, which is not an address, under every allow list', address => {
    const allow = allowing('0.0.0.0/0,::/0')
    expect(reasonOf(checkAddress(address, allow))).toBe(`${JSON.stringify(address)} is not an IP address`)
  })

  test.each([
    ['127.0.0.1', '127.0.0.1 is a loopback address (127.0.0.0/8)'],
    ['10.1.2.3', '10.1.2.3 is a private address (10.0.0.0/8)'],
    ['::1', '::1 is a loopback address (::1/128)'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1 is an IPv4-mapped address (::ffff:0:0/96)'],
    ['64:ff9b::1', '64:ff9b::1 is a NAT64 address (64:ff9b::/32)'],
    ['255.255.255.255', '255.255.255.255 is the broadcast address (255.255.255.255/32)'],
  ])('explains %s and how to allow it', (address, beginning) => {
    expect(reasonOf(checkAddress(address, nothing))).toBe(
      `${beginning}, which webhooks may not reach; to allow it, add ${address} to WALHOOK_ALLOW_TARGETS`,
    )
  })

  test.each(cloudMetadata)('allows cloud metadata %s only by its exact address', address => {
    const bits = address.includes(':') ? 128 : 32
    const wider = address.includes(':') ? 'fd00:ec2::254/127' : `${address.replace(/\d+$/, '0')}/24`
    expect(reasonOf(checkAddress(address, nothing))).toContain(
      `${address} is a cloud metadata address (${address}/${bits})`,
    )
    expect(checkAddress(address, allowing(wider)).ok).toBe(false)
    expect(checkAddress(address, allowing('0.0.0.0/0,::/0')).ok).toBe(false)
    expect(checkAddress(address, allowing(address))).toEqual({ ok: true })
    expect(checkAddress(address, allowing(`${address}/${bits}`))).toEqual({ ok: true })
    expect(checkResolvedAddress('meta.internal', address, allowing('meta.internal')).ok).toBe(false)
    expect(checkResolvedAddress('meta.internal', address, allowing(address))).toEqual({ ok: true })
  })

  test.each([
    '::ffff:169.254.169.254',
    '::169.254.169.254',
    '::ffff:0:168.63.129.16',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1:a9fe:a9:fe00::',
    '2002:a9fe:a9fe::1',
  ])('the range %s does not allow the metadata address inside it', address => {
    expect(checkAddress(address, allowing('::/0,0.0.0.0/0,169.254.169.254')).ok).toBe(false)
    expect(checkAddress(address, allowing(address))).toEqual({ ok: true })
  })

  test('an allowed IPv4 range allows no IPv6 form of it', () => {
    const allow = allowing('127.0.0.0/8')
    expect(checkAddress('127.9.9.9', allow)).toEqual({ ok: true })
    expect(checkAddress('::ffff:127.0.0.1', allow).ok).toBe(false)
    expect(checkAddress('::1', allow).ok).toBe(false)
  })

  test('4,000 random IPv4 addresses: every IPv6 form is refused, plain ones follow the ranges', () => {
    const nextByte = randomBytes(20_241)
    const spans = ranges
      .filter(([cidr]) => cidr.includes('.'))
      .map(([, first, last]) => ({ from: asNumber(first), to: asNumber(last) }))
    const wrong: string[] = []
    let allowedCount = 0
    for (let i = 0; i < 4000; i++) {
      const bytes = [nextByte(), nextByte(), nextByte(), nextByte()]
      const dotted = bytes.join('.')
      const hex = bytes.map(byte => byte.toString(16).padStart(2, '0')).join('')
      const groups = `${hex.slice(0, 4)}:${hex.slice(4)}`
      const disguises = [
        `::ffff:${dotted}`,
        `::ffff:${groups}`,
        `0:0:0:0:0:ffff:${groups}`,
        `::${dotted}`,
        `::${groups}`,
        `::ffff:0:${dotted}`,
        `64:ff9b::${dotted}`,
        `64:ff9b:1::${dotted}`,
        `2002:${groups}::`,
        `2002:${groups}::1`,
      ]
      wrong.push(...disguises.filter(disguise => checkAddress(disguise, nothing).ok))
      const value = asNumber(dotted)
      const isAllowed = !spans.some(({ from, to }) => value >= from && value <= to)
      if (isAllowed) allowedCount++
      if (checkAddress(dotted, nothing).ok !== isAllowed) wrong.push(dotted)
    }
    expect(wrong).toEqual([])
    expect(allowedCount).toBeGreaterThan(3000)
  })
})

function asNumber(dotted: string): number {
  return dotted.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

describe('checkResolvedAddress', () => {
  test('a listed name allows its own addresses only', () => {
    const allow = allowing('Hooks.Internal')
    expect(checkResolvedAddress('hooks.internal', '10.0.0.5', allow)).toEqual({ ok: true })
    expect(checkResolvedAddress('HOOKS.internal.', '::1', allow)).toEqual({ ok: true })
    expect(checkResolvedAddress('x.hooks.internal', '10.0.0.5', allow).ok).toBe(false)
    expect(checkResolvedAddress('internal', '10.0.0.5', allow).ok).toBe(false)
    expect(checkResolvedAddress('hooks.internal', 'fe80::1%eth0', allow).ok).toBe(false)
  })

  test('names the host and the address', () => {
    expect(reasonOf(checkResolvedAddress('a.example', '10.0.0.5', nothing))).toMatch(
      /^a\.example resolves to an address that is not allowed: 10\.0\.0\.5 is a private address \(10\.0\.0\.0\/8\)/,
    )
  })
})

test('the machine and its networks are refused, unless allowed', () => {
  const own = ownNetworks([
    '8.8.4.7/24',
    '2606:4700::7/64',
    'fe80::1%eth0/64',
    '9.9.9.9/0',
    '1.1.1.1',
    'odd/8',
  ])
  const rules = { ...nothing, own }
  for (const address of ['8.8.4.7', '8.8.4.200', '2606:4700::7', '2606:4700::ffff', '9.9.9.9', '1.1.1.1'])
    expect(reasonOf(checkAddress(address, rules))).toContain('an address of this machine, or of a network')
  for (const address of ['8.8.5.7', '2606:4700:0:1::7', '9.9.9.8', '1.1.1.2'])
    expect([address, checkAddress(address, rules).ok]).toEqual([address, true])
  const allowed = { ...allowing('8.8.4.7:8443,hook.example'), own }
  expect(checkAddress('8.8.4.7', allowed, 8443).ok).toBe(true)
  expect(checkAddress('8.8.4.7', allowed, 443).ok).toBe(false)
  expect(checkResolvedAddress('hook.example', '2606:4700::7', allowed, 443).ok).toBe(true)
})

test('a denied range refuses the addresses of a listed name', () => {
  const rules = { ...allowing('hook.internal'), denied: allowing('10.0.0.0/8,192.168.0.1:22') }
  expect(checkResolvedAddress('hook.internal', '10.0.0.5', rules, 443).ok).toBe(false)
  expect(checkResolvedAddress('hook.internal', '192.168.0.1', rules, 22).ok).toBe(false)
  expect(checkResolvedAddress('hook.internal', '192.168.0.1', rules, 443).ok).toBe(true)
})
