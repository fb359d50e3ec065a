const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Whether a request with a session cookie may act: it only reads, or one of walhook's pages sent it. `Sec-Fetch-Site`
 * decides; without it (plain http), the host of `Origin` must be `Host`. https://www.w3.org/TR/fetch-metadata/
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
