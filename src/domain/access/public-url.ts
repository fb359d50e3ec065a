/** A public origin of walhook: `https` and `walhook.example.com`, with the port unless it is the default. */
export type PublicUrl = { readonly protocol: 'http' | 'https'; readonly host: string }

/** Reads walhook's public URLs, separated by commas; or returns the problem. */
export function parsePublicUrls(
  text: string,
): { ok: true; urls: readonly PublicUrl[] } | { ok: false; problems: readonly string[] } {
  const problems: string[] = []
  const urls: PublicUrl[] = []
  for (const part of text.split(',').map(one => one.trim())) {
    if (part === '') continue
    const url = URL.parse(part)
    const protocol = url?.protocol === 'https:' ? 'https' : url?.protocol === 'http:' ? 'http' : null
    // The problem never repeats the URL: it may contain a password.
    if (!url || !protocol) problems.push('a part of it is no http or https URL')
    else if (url.username || url.password) problems.push('it holds a user or a password')
    else if (url.pathname !== '/' || url.search || url.hash)
      problems.push(
        `${JSON.stringify(url.origin)} is followed by a path: walhook is served at the root of a host`,
      )
    else urls.push({ protocol, host: url.host })
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, urls }
}

/** The public URL that a request with this `Host` was sent to, or null. */
export function urlOfHost(host: string | undefined, urls: readonly PublicUrl[]): PublicUrl | null {
  if (host === undefined) return null
  return (
    urls.find(url => URL.parse(`${url.protocol}://${host}`)?.host === url.host && !/[/?#@\\]/.test(host)) ??
    null
  )
}
