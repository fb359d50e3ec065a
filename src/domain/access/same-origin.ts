const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a request that brings a session may act: it only reads, or a page of ours has sent it. Browsers say by
 * `Sec-Fetch-Site` who did; where they don't (plain http on a network), the host of `Origin` must be the one that
 * was called. Who says neither is no browser, and needs no session. https://www.w3.org/TR/fetch-metadata/
 */
export function isFromOurPage(request: {
  readonly method: string
  readonly secFetchSite: string | undefined
  readonly origin: string | undefined
  /** The header `Host`: name and port. */
  readonly host: string | undefined
}): boolean {
  const { method, secFetchSite, origin, host } = request
  if (safeMethods.has(method)) return true
  if (secFetchSite !== undefined) return secFetchSite === 'same-origin'
  const from = origin === undefined ? null : URL.parse(origin)
  return from !== null && host !== undefined && from.host === host.toLowerCase()
}
