import { isIP } from 'node:net'
import { type AddressRange, parseAddress, parseRange, rangeHolds, withoutBrackets } from './address.ts'

/** What WALHOOK_ALLOW_TARGETS names: ranges of addresses, and host names (lower case, no trailing dot). */
export type AllowList = { readonly ranges: readonly AddressRange[]; readonly names: ReadonlySet<string> }

export type AddressVerdict = { ok: true } | { ok: false; reason: string }

export type UrlVerdict = { ok: true; url: URL } | { ok: false; reason: string }

const maxUrlCharacters = 2048

/**
 * Where no webhook may go, the narrower range before the wider one so that the reason says the most.
 * After the IANA special-purpose registries (https://www.iana.org/assignments/iana-ipv4-special-registry/ and
 * https://www.iana.org/assignments/iana-ipv6-special-registry/). IPv6 forms that carry an IPv4 address are
 * refused whole: which of them a host translates, and to what, is decided by its network and not by us.
 */
const refusedRanges = [
  ['0.0.0.0/8', 'a "this network" address'],
  ['10.0.0.0/8', 'a private address'],
  ['100.64.0.0/10', 'a carrier-grade NAT address'],
  ['127.0.0.0/8', 'a loopback address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'an address kept for protocols'],
  ['192.0.2.0/24', 'a documentation address'],
  ['192.88.99.0/24', 'a 6to4 relay address'],
  ['192.168.0.0/16', 'a private address'],
  ['198.18.0.0/15', 'a benchmarking address'],
  ['198.51.100.0/24', 'a documentation address'],
  ['203.0.113.0/24', 'a documentation address'],
  ['224.0.0.0/4', 'a multicast address'],
  ['255.255.255.255/32', 'the broadcast address'],
  ['240.0.0.0/4', 'a reserved address'],
  ['::/128', 'the unspecified address'],
  ['::1/128', 'a loopback address'],
  ['::ffff:0:0/96', 'an IPv4-mapped address'],
  ['::ffff:0:0:0/96', 'an IPv4-translated address'],
  ['::/96', 'an IPv4-compatible address'],
  ['64:ff9b::/32', 'a NAT64 address'],
  ['::/8', 'a reserved address'],
  ['100::/64', 'a discard-only address'],
  ['2001::/32', 'a Teredo address'],
  ['2001::/23', 'an address kept for protocols'],
  ['2001:db8::/32', 'a documentation address'],
  ['2002::/16', 'a 6to4 address'],
  ['3fff::/20', 'a documentation address'],
  ['5f00::/16', 'a segment routing address'],
  ['fc00::/7', 'a private (unique local) address'],
  ['fe80::/10', 'a link-local address'],
  ['fec0::/10', 'a site-local address'],
  ['ff00::/8', 'a multicast address'],
].map(([cidr, what]) => ({ cidr, what, range: knownRange(cidr!) }))

/** They hand out the credentials of the machine, so a range that happens to hold one does not open it. */
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
 * Reads a comma-separated list of CIDRs, single addresses and exact host names. Names are compared in their
 * ASCII form, without regard to case or to a trailing dot. Blank items are skipped; empty text is the empty
 * list. Every wrong item gives one problem, a sentence that names the item and the mend.
 */
export function parseAllowList(
  text: string,
): { ok: true; allow: AllowList } | { ok: false; problems: string[] } {
  const ranges: AddressRange[] = []
  const names = new Set<string>()
  const problems: string[] = []
  for (const item of text.split(',').map(part => part.trim())) {
    if (item === '') continue
    const parsed = parseAllowItem(item)
    if ('problem' in parsed) problems.push(`${quoted(item)} ${parsed.problem}`)
    else if ('range' in parsed) ranges.push(parsed.range)
    else names.add(parsed.name)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, allow: { ranges, names } }
}

/**
 * Whether a webhook may reach an IP address. Refused: every special-purpose range, unless a range of the allow
 * list holds the address; cloud metadata addresses, unless the allow list names exactly that address; and
 * whatever is not an IP address. The reason is a sentence with the address, its range and the mend.
 */
export function judgeAddress(address: string, allow: AllowList): AddressVerdict {
  return judge(address, allow, false)
}

/**
 * As judgeAddress, for an address that a host name has resolved to: a name in the allow list opens every
 * address it resolves to, except for cloud metadata addresses.
 */
export function judgeResolvedAddress(hostname: string, address: string, allow: AllowList): AddressVerdict {
  const verdict = judge(address, allow, isListedName(hostname, allow))
  if (verdict.ok || parseAddress(hostname) !== null) return verdict
  return { ok: false, reason: `${hostname} resolves to an address that is not allowed: ${verdict.reason}` }
}

/**
 * Whether a text may be the URL of a webhook, as far as that can be told without asking DNS. The URL that is
 * returned is the one that was judged: use it, and never parse the text again, since parsers disagree.
 * IP literals are judged here, in any spelling that the URL standard knows (`0x7f.1`, `2130706433`); the
 * addresses of a host name must be judged with judgeResolvedAddress when it has been resolved.
 *
 * http is for hosts that the allow list names and for IP literals inside one of its ranges. A host name which
 * merely resolves into an allowed range is refused over http: what it resolves to is not known here and may be
 * another address tomorrow, and then the request would travel readable to somewhere public.
 *
 * Reasons never repeat user info, path or query, where credentials may stand.
 * See https://url.spec.whatwg.org/#host-parsing
 */
export function judgeUrl(text: string, allow: AllowList): UrlVerdict {
  if (text.length > maxUrlCharacters) return tooLong(text.length)
  // The URL parser drops tabs and line breaks without a word, so the admin would see another URL than was typed.
  if (/[\s\p{Cc}]/u.test(text)) {
    return refuse('the URL holds a space or a control character: remove it, or write a space as %20')
  }
  const url = URL.parse(text)
  // Not even the scheme is repeated: in `name:password@host` the scheme is the name.
  if (url === null) return refuse('this is not a complete URL: write it as https://host/path')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return refuse('the URL must begin with https://')
  }
  if (url.href.length > maxUrlCharacters) return tooLong(url.href.length)
  if (url.username !== '' || url.password !== '') {
    return refuse('the URL must not hold a user name or a password: send credentials in a header instead')
  }
  if (url.href.includes('#')) {
    return refuse('the URL must not hold a fragment: remove the # and what follows, it is never sent')
  }
  const host = withoutBrackets(url.hostname)
  const bytes = parseAddress(host)
  if (bytes === null) {
    if (!isHostName(withoutTrailingDot(host))) return refuse('the host of the URL is not a valid host name')
  } else {
    const verdict = judgeAddress(host, allow)
    if (!verdict.ok) return verdict
  }
  if (url.protocol === 'http:') {
    const isAllowed = bytes === null ? hostIsAllowedByName(url, allow) : isInRanges(bytes, allow)
    if (!isAllowed) return refuse(httpReason(host, bytes !== null))
  }
  return { ok: true, url }
}

/** Whether the allow list names the host of a URL (`localhost.` is `localhost`). False for IP literals. */
export function hostIsAllowedByName(url: URL, allow: AllowList): boolean {
  return isListedName(url.hostname, allow)
}

function judge(address: string, allow: AllowList, isExempt: boolean): AddressVerdict {
  const bytes = parseAddress(address)
  if (bytes === null) return refuse(`${JSON.stringify(address.slice(0, 100))} is not an IP address`)
  if (isMetadata(bytes)) {
    if (allow.ranges.some(range => range.prefixBits === bytes.length * 8 && rangeHolds(range, bytes))) {
      return { ok: true }
    }
    const mend = `to allow it, name exactly ${address} in WALHOOK_ALLOW_TARGETS (a range or a host name is not enough)`
    const where = `${address}/${bytes.length * 8}`
    return refuse(`${address} is a cloud metadata address (${where}), which webhooks may not reach; ${mend}`)
  }
  if (isExempt || isInRanges(bytes, allow)) return { ok: true }
  const refused = refusedRanges.find(({ range }) => rangeHolds(range, bytes))
  if (refused === undefined) return { ok: true }
  const mend = `to allow it, add ${address} to WALHOOK_ALLOW_TARGETS`
  return refuse(`${address} is ${refused.what} (${refused.cidr}), which webhooks may not reach; ${mend}`)
}

/** Looks into IPv6 forms that carry an IPv4 address, so that an allowed IPv6 range opens no metadata address. */
function isMetadata(bytes: Uint8Array): boolean {
  const forms = [bytes]
  if (bytes.length === 16) {
    // Mapped, compatible, translated and the usual NAT64 form; 6to4; NAT64 under a /48 (RFC 6052 section 2.2).
    if (bytes[0] === 0) forms.push(bytes.subarray(12), pick(bytes, [6, 7, 9, 10]))
    if (bytes[0] === 0x20 && bytes[1] === 0x02) forms.push(bytes.subarray(2, 6))
  }
  return forms.some(form => metadataAddresses.some(metadata => isSame(metadata, form)))
}

function pick(bytes: Uint8Array, indexes: number[]): Uint8Array {
  return Uint8Array.from(indexes, index => bytes[index]!)
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

function isInRanges(bytes: Uint8Array, allow: AllowList): boolean {
  return allow.ranges.some(range => rangeHolds(range, bytes))
}

function knownRange(cidr: string): AddressRange {
  const parsed = parseRange(cidr)
  if (parsed === null || 'problem' in parsed) throw new Error(`${cidr} is not a range`)
  return parsed.range
}

function parseAllowItem(item: string): { range: AddressRange } | { name: string } | { problem: string } {
  if (item.includes('://')) return { problem: 'is a URL: write its host name or address alone' }
  if (item.includes('*')) {
    return { problem: 'holds a wildcard: list each host name, or a range such as 10.0.0.0/8' }
  }
  if (item.includes('%')) return { problem: 'holds a zone id: write the address alone, without the %' }
  if (/[[\]]/.test(item)) return { problem: 'holds brackets: write the address without them or a port' }
  const parsed = parseRange(item)
  if (parsed !== null) return parsed
  if (!item.includes('/')) return parseAllowName(item)
  return { problem: 'is not a range: write an address and a number of bits, such as 10.0.0.0/8 or fd00::/8' }
}

function parseAllowName(item: string): { name: string } | { problem: string } {
  if (/:[0-9]*$/.test(item)) return { problem: 'holds a port: write the host name without it' }
  const wrong = { problem: 'is neither a host name nor an address: write hooks.internal or 10.0.0.5, say' }
  if (/[/\\?#@:\s]/.test(item)) return wrong
  const hostname = URL.parse(`https://${item}/`)?.hostname
  if (hostname === undefined) return wrong
  if (isIP(hostname) !== 0) return { problem: `is an unusual spelling of ${hostname}: write ${hostname}` }
  const name = withoutTrailingDot(hostname)
  return isHostName(name) ? { name } : wrong
}

function isListedName(hostname: string, allow: AllowList): boolean {
  return allow.names.has(withoutTrailingDot(hostname.toLowerCase()))
}

function withoutTrailingDot(hostname: string): string {
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
}

/** Underscores are let through: they are common in names of containers. */
function isHostName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name)
}

function httpReason(host: string, isAddress: boolean): string {
  const name = withoutTrailingDot(host)
  const mend = `http:// is refused for ${name}: use https://, or add ${name} to WALHOOK_ALLOW_TARGETS`
  return isAddress ? mend : `${mend} by name (a range that it resolves into is not enough)`
}

function tooLong(length: number): { ok: false; reason: string } {
  return refuse(`the URL has ${length} characters: at most ${maxUrlCharacters} are allowed`)
}

/** An item as it may be shown: a URL that was pasted whole may hold a password. */
function quoted(item: string): string {
  return JSON.stringify(item.replace(/^(.*:\/\/)?.*@/, '$1***@'))
}

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason }
}
