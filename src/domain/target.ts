import { type AddressRange, parseAddress, parseRange, rangeHolds, withoutBrackets } from './address.ts'
import { isHostName, isListedName, rangeOf, type TargetList, withoutTrailingDot } from './target-list.ts'

/**
 * What WALHOOK_ALLOW_TARGETS opens, and what stays closed. What WALHOOK_DENY_TARGETS names (`denied`) stays closed
 * whatever is allowed. `own` holds the addresses of this machine and the networks that it is attached to: they stay closed
 * unless they are allowed.
 */
export type TargetRules = TargetList & {
  readonly denied?: TargetList
  readonly own?: readonly AddressRange[]
}

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
  ['100:0:0:1::/64', 'a dummy address'],
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
  // Global unicast is 2000::/3. All else is reserved, or is for something that is not a public host.
  ['::/3', 'not a public address'],
  ['4000::/2', 'not a public address'],
  ['8000::/1', 'not a public address'],
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
 * Whether a webhook may reach an IP address at a port (null: whatever the port). Refused: what is denied; every
 * special-purpose range and the machine's own networks, unless the allow list holds the address; cloud metadata
 * addresses, unless the allow list names exactly that address; and whatever is not an IP address. The reason is a sentence
 * with the address, its range and the mend.
 */
export function judgeAddress(
  address: string,
  rules: TargetRules,
  port: number | null = null,
): AddressVerdict {
  return judge(address, rules, port, false)
}

/**
 * As judgeAddress, for an address that a host name has resolved to: a name in the allow list opens every
 * address it resolves to, except for what is denied and cloud metadata addresses.
 */
export function judgeResolvedAddress(
  hostname: string,
  address: string,
  rules: TargetRules,
  port: number | null = null,
): AddressVerdict {
  const verdict = judge(address, rules, port, isListedName(rules, hostname, port))
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
export function judgeUrl(text: string, rules: TargetRules): UrlVerdict {
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
  const port = portOf(url)
  if (port === 0) return refuse('the URL must not name port 0: nothing can listen there')
  const host = withoutBrackets(url.hostname)
  const bytes = parseAddress(host)
  if (bytes === null) {
    if (!isHostName(withoutTrailingDot(host))) return refuse('the host of the URL is not a valid host name')
    if (rules.denied && isListedName(rules.denied, host, port)) return refuse(deniedReason(host))
  } else {
    const verdict = judgeAddress(host, rules, port)
    if (!verdict.ok) return verdict
  }
  if (url.protocol === 'http:') {
    const isAllowed =
      bytes === null ? hostIsAllowedByName(url, rules) : rangeOf(rules, bytes, port) !== undefined
    if (!isAllowed) return refuse(httpReason(host, bytes !== null))
  }
  return { ok: true, url }
}

/** The port that a URL leads to, written or not. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

/** Whether the allow list names the host of a URL (`localhost.` is `localhost`). False for IP literals. */
export function hostIsAllowedByName(url: URL, allow: TargetList): boolean {
  return isListedName(allow, url.hostname, portOf(url))
}

function judge(address: string, rules: TargetRules, port: number | null, isExempt: boolean): AddressVerdict {
  const bytes = parseAddress(address)
  if (bytes === null) return refuse(`${JSON.stringify(address.slice(0, 100))} is not an IP address`)
  const forms = formsOf(bytes)
  const { denied } = rules
  if (denied && forms.some(form => rangeOf(denied, form, port))) return refuse(deniedReason(address))
  if (forms.some(isMetadata)) {
    if (rangeOf(rules, bytes, port, range => range.prefixBits === bytes.length * 8)) return { ok: true }
    const mend = `to allow it, name exactly ${address} in WALHOOK_ALLOW_TARGETS (a range or a host name is not enough)`
    const where = `${address}/${bytes.length * 8}`
    return refuse(`${address} is a cloud metadata address (${where}), which webhooks may not reach; ${mend}`)
  }
  if (isExempt || rangeOf(rules, bytes, port)) return { ok: true }
  const mend = `to allow it, add ${address} to WALHOOK_ALLOW_TARGETS`
  const refused = refusedRanges.find(({ range }) => rangeHolds(range, bytes))
  if (refused !== undefined)
    return refuse(`${address} is ${refused.what} (${refused.cidr}), which webhooks may not reach; ${mend}`)
  if (rules.own?.some(range => rangeHolds(range, bytes)))
    return refuse(
      `${address} is an address of this machine, or of a network that it is attached to, which webhooks may not reach; ${mend}`,
    )
  return { ok: true }
}

/** An address, and what an IPv6 address carries of IPv4, so that no form of an address opens what another does not. */
function formsOf(bytes: Uint8Array): Uint8Array[] {
  const forms = [bytes]
  if (bytes.length === 16) {
    // Mapped, compatible, translated and the usual NAT64 form; 6to4; NAT64 under a /48 (RFC 6052 section 2.2).
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

function deniedReason(target: string): string {
  return `${target} is closed to webhooks by WALHOOK_DENY_TARGETS, which goes before WALHOOK_ALLOW_TARGETS; choose another target, or remove it there`
}

function httpReason(host: string, isAddress: boolean): string {
  const name = withoutTrailingDot(host)
  const mend = `http:// is refused for ${name}: use https://, or add ${name} to WALHOOK_ALLOW_TARGETS`
  return isAddress ? mend : `${mend} by name (a range that it resolves into is not enough)`
}

function tooLong(length: number): { ok: false; reason: string } {
  return refuse(`the URL has ${length} characters: at most ${maxUrlCharacters} are allowed`)
}

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason }
}
