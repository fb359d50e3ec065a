import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAddress } from '../../src/domain/value/address.ts'
import { checkAddress, checkResolvedAddress, checkTargetUrl } from '../../src/domain/webhook/target.ts'
import { allowing } from './allowing.ts'

const nothing = allowing('')
const everyRange = allowing('0.0.0.0/0')

/** The documented refusals as [first address, prefix bits], compared as whole numbers: another way than the code's. */
const refused4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // A cloud's metadata service at a public address.
  ['168.63.129.16', 32],
]
/** Each by its groups in full. */
const refused6: [string, number][] = [
  ['0000:0000', 8],
  ['0064:ff9b', 32],
  ['0100:0000:0000:0000', 64],
  ['2001:0000', 23],
  ['2001:0db8', 32],
  ['2002:0000', 16],
  ['3fff:0000', 20],
  ['5f00:0000', 16],
  ['fc00:0000', 7],
  ['fe80:0000', 10],
  ['fec0:0000', 10],
  ['ff00:0000', 8],
  // Outside 2000::/3.
  ['0000:0000', 3],
  ['4000:0000', 2],
  ['8000:0000', 1],
]

const dotted = (value: number) => [24, 16, 8, 0].map(bits => (value >>> bits) & 0xff).join('.')
const number4 = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const isRefused4 = (value: number) =>
  refused4.some(
    ([first, bits]) => Math.floor(value / 2 ** (32 - bits)) === Math.floor(number4(first) / 2 ** (32 - bits)),
  )

function isRefused6(value: bigint): boolean {
  return refused6.some(([groups, bits]) => {
    const first = BigInt(`0x${groups.replaceAll(':', '').padEnd(32, '0')}`)
    return value >> BigInt(128 - bits) === first >> BigInt(128 - bits)
  })
}

const hex = (value: number) => value.toString(16).padStart(4, '0')
const groupsOf = (value: number) => [hex(value >>> 16), hex(value & 0xffff)] as const

/** Every form of IPv6 in which an IPv4 address may stand (RFC 4291, 6052, 6145, 8215, 3056, 4380, 5214). */
function disguises(value: number): string[] {
  const [high, low] = groupsOf(value)
  const [inverseHigh, inverseLow] = groupsOf(~value >>> 0)
  const [a, b, c, d] = dotted(value)
    .split('.')
    .map(part => hex(Number(part)).slice(2))
  return [
    `::ffff:${dotted(value)}`,
    `::ffff:${high}:${low}`,
    `::${dotted(value)}`,
    `0:0:0:0:0:0:${high}:${low}`,
    `::ffff:0:${dotted(value)}`,
    `64:ff9b::${dotted(value)}`,
    `64:ff9b:1::${dotted(value)}`,
    `64:ff9b:1:${a}${b}:${c}:${d}00::`,
    `2002:${high}:${low}::1`,
    `2001:0:${high}:${low}:8000:1:${inverseHigh}:${inverseLow}`,
    `fe80::5efe:${dotted(value)}`,
  ]
}

/** Addresses beside the edges of ranges as often as any others. */
const edges = refused4.flatMap(([first, bits]) => {
  const from = number4(first)
  return [from - 1, from, from + 2 ** (32 - bits) - 1, from + 2 ** (32 - bits)]
})
const ipv4 = fc.oneof(
  fc.nat({ max: 2 ** 32 - 1 }),
  fc.constantFrom(...edges.filter(value => value >= 0 && value < 2 ** 32)),
)
const many = { numRuns: 5_000 }

test('an IPv4 address is allowed exactly if no documented range contains it', () => {
  fc.assert(
    fc.property(ipv4, value => checkAddress(dotted(value), nothing).ok === !isRefused4(value)),
    many,
  )
})

test('no IPv4 address inside an IPv6 one is allowed, even if all of IPv4 is', () => {
  fc.assert(
    fc.property(ipv4, value =>
      disguises(value).every(
        text =>
          parseAddress(text) !== null &&
          !checkAddress(text, nothing).ok &&
          !checkAddress(text, everyRange).ok &&
          !checkResolvedAddress('a.example', text, everyRange).ok &&
          !checkTargetUrl(`https://[${text}]/`, everyRange).ok,
      ),
    ),
    many,
  )
})

test('an IPv6 address in any spelling is allowed exactly if no documented range contains it', () => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 })
  const beginning = fc.constantFrom(...refused6.map(([groups]) => groups.replaceAll(':', '')))
  fc.assert(
    fc.property(bytes, fc.option(beginning), fc.boolean(), (random, start, isUpper) => {
      const digits =
        (start ?? '') +
        Buffer.from(random)
          .toString('hex')
          .slice((start ?? '').length)
      const full = digits.replace(/(.{4})(?=.)/g, '$1:')
      const short = new URL(`https://[${full}]/`).hostname.slice(1, -1)
      const isOpen = !isRefused6(BigInt(`0x${digits}`))
      return [full, short, isUpper ? short.toUpperCase() : short].every(
        text =>
          // Of the metadata addresses, those of IPv6 lie in a refused range.
          checkAddress(text, nothing).ok === isOpen &&
          checkTargetUrl(`https://[${text}]/`, nothing).ok === isOpen,
      )
    }),
    many,
  )
})

test('every spelling of an IPv4 address in a URL gets the verdict of the address', () => {
  const part = (value: number, base: number) =>
    base === 8 ? `0${value.toString(8)}` : base === 16 ? `0x${value.toString(16)}` : String(value)
  const bases = fc.tuple(...[0, 1, 2, 3].map(() => fc.constantFrom(8, 10, 16)))
  fc.assert(
    fc.property(ipv4, bases, fc.nat({ max: 3 }), fc.boolean(), (value, [a, b, c, d], cut, hasDot) => {
      const bytes = dotted(value).split('.').map(Number)
      // The last of fewer than four parts stands for all the bytes that are left.
      const rest = bytes.slice(cut).reduce((sum, byte) => sum * 256 + byte, 0)
      const parts = [...bytes.slice(0, cut), rest].map((one, i) => part(one, [a, b, c, d][i]!))
      const spelled = parts.join('.') + (hasDot ? '.' : '')
      const verdict = checkTargetUrl(`https://${spelled}/`, nothing)
      return verdict.ok === !isRefused4(value) && (!verdict.ok || verdict.url.hostname === dotted(value))
    }),
    many,
  )
})

test('of any text, only https URLs without user info and without private addresses are allowed', () => {
  const host = fc.oneof(
    ipv4.map(dotted),
    ipv4.chain(value => fc.constantFrom(...disguises(value).map(x => `[${x}]`))),
    fc.domain(),
  )
  const text = fc.tuple(
    fc.constantFrom('https://', 'http://', 'HTTPS:\\\\', 'https:', 'ftp://', '//', ''),
    fc.option(fc.string({ maxLength: 5 }).map(user => `${user}@`)),
    host,
    fc.option(fc.string({ maxLength: 8 })),
  )
  fc.assert(
    fc.property(text, ([scheme, user, name, rest]) => {
      const verdict = checkTargetUrl(`${scheme}${user ?? ''}${name}/${rest ?? ''}`, nothing)
      if (!verdict.ok) return
      const { protocol, username, password, hostname } = verdict.url
      expect({ protocol, username, password }).toEqual({ protocol: 'https:', username: '', password: '' })
      if (/^[0-9.]+$/.test(hostname)) expect(isRefused4(number4(hostname))).toBe(false)
      expect(hostname).not.toMatch(/^\[/)
    }),
    many,
  )
})
