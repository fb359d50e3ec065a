import { isIP } from 'node:net'
import { type AddressRange, parseRange, rangeHolds } from '../value/address.ts'

/** A parsed WALHOOK_ALLOW_TARGETS or WALHOOK_DENY_TARGETS. */
export type TargetList = {
  /** With a `port`: only that port. */
  readonly ranges: readonly ListedRange[]
  /** In lower case, without a trailing dot; with a port as `name:8443`. */
  readonly names: ReadonlySet<string>
}

type ListedRange = AddressRange & { readonly port?: number }

export const emptyList: TargetList = { ranges: [], names: new Set() }

/**
 * Parses a comma-separated list of CIDRs, addresses and exact host names; an address or name may have a port
 * (`10.0.0.5:8443`, `[fd00::1]:8443`, `hooks.internal:8443`). Names are compared in ASCII form, ignoring case and a trailing
 * dot. Blank items are skipped. Every wrong item is one problem: a sentence with the item and the fix.
 */
export function parseTargetList(
  text: string,
): { ok: true; list: TargetList } | { ok: false; problems: string[] } {
  const ranges: ListedRange[] = []
  const names = new Set<string>()
  const problems: string[] = []
  for (const item of text.split(',').map(part => part.trim())) {
    if (item === '') continue
    const parsed = parseItem(item)
    if ('problem' in parsed) problems.push(`${quoted(item)} ${parsed.problem}`)
    else if ('range' in parsed) ranges.push(parsed.range)
    else names.add(parsed.name)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, list: { ranges, names } }
}

/** The first range with an address and port. `port` null: unknown, so ranges of one port do not count. */
export function rangeOf(
  list: TargetList,
  bytes: Uint8Array,
  port: number | null,
  isMeant: (range: ListedRange) => boolean = () => true,
): ListedRange | undefined {
  return list.ranges.find(
    range => (range.port === undefined || range.port === port) && isMeant(range) && rangeHolds(range, bytes),
  )
}

/** Whether a list names a host and port. False for IP literals. */
export function isListedName(list: TargetList, hostname: string, port: number | null): boolean {
  const name = withoutTrailingDot(hostname.toLowerCase())
  return list.names.has(name) || (port !== null && list.names.has(`${name}:${port}`))
}

export function withoutTrailingDot(hostname: string): string {
  return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname
}

/** Underscores are accepted: container names often have them. */
export function isHostName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name)
}

type Item = { range: ListedRange } | { name: string } | { problem: string }

function parseItem(item: string): Item {
  if (item.includes('://')) return { problem: 'is a URL: write its host name or address alone' }
  if (item.includes('*')) {
    return { problem: 'contains a wildcard: list each host name, or a range such as 10.0.0.0/8' }
  }
  if (item.includes('%')) return { problem: 'contains a zone id: write the address alone, without the %' }
  if (/\/[0-9]+:[0-9]*$/.test(item))
    return { problem: 'is a range with a port: a port is for one address or name' }
  const alone = parseRange(item)
  if (alone !== null) return alone
  const [, host, portText] = /^(.*):([0-9]*)$/.exec(item) ?? []
  if (host !== undefined && (!host.includes(':') || host.endsWith(']'))) return withPort(host, portText!)
  if (/[[\]]/.test(item)) return { problem: 'contains brackets: they are for an address with a port' }
  if (!item.includes('/')) return parseName(item)
  return { problem: 'is not a range: write an address and a number of bits, such as 10.0.0.0/8 or fd00::/8' }
}

function withPort(host: string, portText: string): Item {
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > 65_535) return { problem: 'needs a port from 1 to 65535 after the colon' }
  const [, inner] = /^\[(.*)\]$/.exec(host) ?? []
  const parsed = isIP(inner ?? '') === 6 || isIP(host) === 4 ? parseRange(inner ?? host) : parseName(host)
  if (parsed === null || 'problem' in parsed) return parsed ?? { problem: notAName }
  return 'range' in parsed ? { range: { ...parsed.range, port } } : { name: `${parsed.name}:${port}` }
}

const notAName = 'is neither a host name nor an address: write hooks.internal or 10.0.0.5, say'

function parseName(item: string): { name: string } | { problem: string } {
  if (/[/\\?#@:\s[\]]/.test(item)) return { problem: notAName }
  const hostname = URL.parse(`https://${item}/`)?.hostname
  if (hostname === undefined) return { problem: notAName }
  if (isIP(hostname) !== 0) return { problem: `is an unusual spelling of ${hostname}: write ${hostname}` }
  const name = withoutTrailingDot(hostname)
  return isHostName(name) ? { name } : { problem: notAName }
}

/** An item for display: a pasted URL may contain a password. */
function quoted(item: string): string {
  return JSON.stringify(item.replace(/^(.*:\/\/)?.*@/, '$1***@'))
}
