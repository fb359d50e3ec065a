/**
 * The proxy of all connections to receivers. `host` is a name or an address, `port` 1 to 65535; `authorization` is the value
 * of `proxy-authorization`, or null.
 */
export type EgressProxy = {
  readonly host: string
  readonly port: number
  readonly authorization: string | null
}

/**
 * Parses `http://user:password@host:port`; percent-encoded user and password, sent by the Basic scheme
 * (https://www.rfc-editor.org/rfc/rfc7617). A problem never repeats the text.
 */
export function parseEgressProxy(text: string): { proxy: EgressProxy } | { problem: string } {
  const url = URL.parse(text)
  if (url === null) return { problem: 'not a URL' }
  if (url.protocol === 'https:' || url.protocol.startsWith('socks'))
    return { problem: `a proxy of the kind ${url.protocol.slice(0, -1)}, which walhook does not support` }
  if (url.protocol !== 'http:' || url.hostname === '') return { problem: 'not an http:// URL' }
  if (url.port === '' && !/:80\/?$/.test(text)) return { problem: 'without a port' }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    return { problem: 'with a path after its port' }
  let login: string
  try {
    login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  } catch {
    return { problem: 'with a % in its user or password that is not written as %25' }
  }
  const authorization = login === ':' ? null : `Basic ${Buffer.from(login).toString('base64')}`
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { proxy: { host, port: Number(url.port || 80), authorization } }
}
