import { because, type Reason, reasonInEnglish } from '../shown/reason.ts'
import type { AddressKind } from '../shown/reason-texts.ts'
import { type AddressRange, parseAddress, parseRange, rangeHolds, withoutBrackets } from '../value/address.ts'
import { isHostName, isListedName, rangeOf, type TargetList, withoutTrailingDot } from './target-list.ts'

/**
 * The rules of WALHOOK_ALLOW_TARGETS and WALHOOK_DENY_TARGETS; `denied` beats allowed. `own`, this machine's addresses and
 * networks, is closed unless allowed.
 */
export type TargetRules = TargetList & {
  readonly denied?: TargetList
  readonly own?: readonly AddressRange[]
}

export type Refused = { ok: false; reason: string; why: Reason }

type AddressVerdict = { ok: true } | Refused

type UrlVerdict = { ok: true; url: URL } | Refused

const maxUrlCharacters = 2048

/**
 * Forbidden ranges, narrow before wide so that the reason is specific. Source: the IANA special-purpose registries
 * (https://www.iana.org/assignments/iana-ipv4-special-registry/,
 * https://www.iana.org/assignments/iana-ipv6-special-registry/). IPv6 ranges that embed IPv4 are refused whole: the host's
 * network decides what they translate to.
 */
const refusedRanges = (
  [
    ['0.0.0.0/8', 'this_network'],
    ['10.0.0.0/8', 'private'],
    ['100.64.0.0/10', 'carrier_nat'],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link_local'],
    ['172.16.0.0/12', 'private'],
    ['192.0.0.0/24', 'protocols'],
    ['192.0.2.0/24', 'documentation'],
    ['192.88.99.0/24', 'relay_6to4'],
    ['192.168.0.0/16', 'private'],
    ['198.18.0.0/15', 'benchmarking'],
    ['198.51.100.0/24', 'documentation'],
    ['203.0.113.0/24', 'documentation'],
    ['224.0.0.0/4', 'multicast'],
    ['255.255.255.255/32', 'broadcast'],
    ['240.0.0.0/4', 'reserved'],
    ['::/128', 'unspecified'],
    ['::1/128', 'loopback'],
    ['::ffff:0:0/96', 'ipv4_mapped'],
    ['::ffff:0:0:0/96', 'ipv4_translated'],
    ['::/96', 'ipv4_compatible'],
    ['64:ff9b::/32', 'nat64'],
    ['::/8', 'reserved'],
    ['100::/64', 'discard_only'],
    ['100:0:0:1::/64', 'dummy'],
    ['2001::/32', 'teredo'],
    ['2001::/23', 'protocols'],
    ['2001:db8::/32', 'documentation'],
    ['2002::/16', '6to4'],
    ['3fff::/20', 'documentation'],
    ['5f00::/16', 'segment_routing'],
    ['fc00::/7', 'unique_local'],
    ['fe80::/10', 'link_local'],
    ['fec0::/10', 'site_local'],
    ['ff00::/8', 'multicast'],
    // Global unicast is 2000::/3. Everything else is reserved, or no public host.
    ['::/3', 'not_public'],
    ['4000::/2', 'not_public'],
    ['8000::/1', 'not_public'],
  ] as const satisfies readonly (readonly [string, AddressKind])[]
).map(([cidr, kind]) => ({ cidr, kind, range: knownRange(cidr) }))

/** They hand out the machine's credentials: an allowed range that contains one does not open it. */
const metadataAddresses = [
  '169.254.169.254', // AWS, Google Cloud, Azure and most others
  '169.254.170.2', // AWS ECS task credentials
  '169.254.170.23', // AWS EKS pod identity
  '169.254.42.42', // Scaleway
  '168.63.129.16', // Azure wire server: a public address that answers inside Azure only
  '100.100.100.200', // Alibaba Cloud
  '192.0.0.192', // Oracle Cloud
  'fd00:ec2::254', // AWS
  'fd00:ec2::23', // AWS EKS pod identity
  'fd00:42::42', // Scaleway
  'fd20:ce::254', // Google Cloud
].map(text => parseAddress(text)!)

/**
 * Whether a webhook may reach an IP address and port (null: any). Refused, with a sentence of the address, its range and the
 * fix:
 *
 * - denied addresses, and anything but an IP address
 * - special-purpose ranges and the machine's own networks, unless allowed
 * - cloud metadata addresses, unless the allow list names exactly that address
 */
export function checkAddress(
  address: string,
  rules: TargetRules,
  port: number | null = null,
): AddressVerdict {
  return checkByRules(address, rules, port, false)
}

/**
 * Like checkAddress, for an address that a host name resolved to: an allowed name opens all its addresses, except denied ones
 * and cloud metadata addresses.
 */
export function checkResolvedAddress(
  hostname: string,
  address: string,
  rules: TargetRules,
  port: number | null = null,
): AddressVerdict {
  const verdict = checkByRules(address, rules, port, isListedName(rules, hostname, port))
  if (verdict.ok || parseAddress(hostname) !== null) return verdict
  return refuse(because('address.resolved', { host: hostname, because: verdict.why }))
}

/**
 * Whether a text may be a webhook's URL, as far as known without DNS. Use the returned URL: parsing the text again may
 * differ.
 *
 * - IP literals are checked here, in any spelling of the URL standard (`0x7f.1`, `2130706433`); the addresses of a name are
 *   checked by checkResolvedAddress.
 * - http needs an allowed host name, or an IP literal in an allowed range. A name that only resolves into an allowed range
 *   needs https: tomorrow it may resolve to a public address.
 * - Reasons never repeat user info, path or query, which may contain credentials.
 *
 * See https://url.spec.whatwg.org/#host-parsing
 */
export function checkTargetUrl(text: string, rules: TargetRules): UrlVerdict {
  if (text.length > maxUrlCharacters) return tooLong(text.length)
  // The URL parser silently drops tabs and line breaks, so the result would differ from the input.
  if (/[\s\p{Cc}]/u.test(text)) {
    return refuse(because('url.space'))
  }
  const url = URL.parse(text)
  // Even the scheme is hidden: in `name:password@host` the scheme is the user name.
  if (url === null) return refuse(because('url.incomplete'))
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return refuse(because('url.scheme'))
  }
  if (url.href.length > maxUrlCharacters) return tooLong(url.href.length)
  if (url.username !== '' || url.password !== '') {
    return refuse(because('url.login'))
  }
  if (url.href.includes('#')) {
    return refuse(because('url.fragment'))
  }
  const port = portOf(url)
  if (port === 0) return refuse(because('url.port_0'))
  const host = withoutBrackets(url.hostname)
  const bytes = parseAddress(host)
  if (bytes === null) {
    if (!isHostName(withoutTrailingDot(host))) return refuse(because('url.host'))
    if (rules.denied && isListedName(rules.denied, host, port))
      return refuse(because('address.denied', { target: host }))
  } else {
    const verdict = checkAddress(host, rules, port)
    if (!verdict.ok) return verdict
  }
  if (url.protocol === 'http:') {
    const isAllowed =
      bytes === null ? hostIsAllowedByName(url, rules) : rangeOf(rules, bytes, port) !== undefined
    if (!isAllowed) return refuse(httpReason(host, bytes !== null))
  }
  return { ok: true, url }
}

export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

/** Whether the allow list names a URL's host (`localhost.` is `localhost`). False for IP literals. */
export function hostIsAllowedByName(url: URL, allow: TargetList): boolean {
  return isListedName(allow, url.hostname, portOf(url))
}

function checkByRules(
  address: string,
  rules: TargetRules,
  port: number | null,
  isExempt: boolean,
): AddressVerdict {
  const bytes = parseAddress(address)
  if (bytes === null) return refuse(because('address.none', { text: address.slice(0, 100) }))
  const forms = formsOf(bytes)
  const { denied } = rules
  if (denied && forms.some(form => rangeOf(denied, form, port)))
    return refuse(because('address.denied', { target: address }))
  if (forms.some(isMetadata)) {
    if (rangeOf(rules, bytes, port, range => range.prefixBits === bytes.length * 8)) return { ok: true }
    return refuse(because('address.metadata', { address, range: `${address}/${bytes.length * 8}` }))
  }
  if (isExempt || rangeOf(rules, bytes, port)) return { ok: true }
  const refused = refusedRanges.find(({ range }) => rangeHolds(range, bytes))
  if (refused !== undefined)
    return refuse(because('address.special', { address, kind: refused.kind, range: refused.cidr }))
  if (rules.own?.some(range => rangeHolds(range, bytes))) return refuse(because('address.own', { address }))
  return { ok: true }
}

/** An address, and the IPv4 addresses inside an IPv6 one: every form must be permitted. */
function formsOf(bytes: Uint8Array): Uint8Array[] {
  const forms = [bytes]
  if (bytes.length === 16) {
    // Mapped, compatible, translated and well-known NAT64; 6to4; NAT64 under a /48 (RFC 6052 section 2.2).
    if (bytes[0] === 0) forms.push(bytes.subarray(12), pick(bytes, [6, 7, 9, 10]))
    if (bytes[0] === 0x20 && bytes[1] === 0x02) forms.push(bytes.subarray(2, 6))
  }
  return forms
}

function isMetadata(bytes: Uint8Array): boolean {
  return metadataAddresses.some(metadata => isSame(metadata, bytes))
}

function pick(bytes: Uint8Array, indexes: number[]): Uint8Array {
  return Uint8Array.from(indexes, index => bytes[index]!)
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

function knownRange(cidr: string): AddressRange {
  const parsed = parseRange(cidr)
  if (parsed === null || 'problem' in parsed) throw new Error(`${cidr} is not a range`)
  return parsed.range
}

function httpReason(host: string, isAddress: boolean): Reason {
  const name = withoutTrailingDot(host)
  return isAddress ? because('url.http', { host: name }) : because('url.http_name', { host: name })
}

function tooLong(characters: number): Refused {
  return refuse(because('url.too_long', { characters, max: maxUrlCharacters }))
}

function refuse(why: Reason): Refused {
  return { ok: false, reason: reasonInEnglish(why), why }
}
