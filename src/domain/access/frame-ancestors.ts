/** Reads the origins that may embed the pages in a frame, separated by commas or spaces; or returns the problem. */
export function parseFrameAncestors(
  text: string,
): { ok: true; origins: readonly string[] } | { ok: false; problems: readonly string[] } {
  const problems: string[] = []
  const origins: string[] = []
  for (const part of text.split(/[\s,]+/).filter(one => one !== '')) {
    // A wildcard stands for one or more names before a domain, as in a Content-Security-Policy.
    const url = URL.parse(part.replace('://*.', '://any.'))
    const isOrigin =
      url !== null && part.toLowerCase().replace('://*.', '://any.').replace(/\/$/, '') === url.origin
    const isSafe =
      url?.protocol === 'https:' ||
      (url?.protocol === 'http:' && /^(localhost|127\.|\[::1\])/.test(url.hostname))
    if (!url || !isOrigin || /[;'"*]/.test(part.replace('://*.', '')))
      problems.push(`${JSON.stringify(part.slice(0, 200))} is not an origin`)
    else if (!isSafe) problems.push(`${JSON.stringify(part)} is not https, and not this machine`)
    else origins.push(part.toLowerCase().replace(/\/$/, ''))
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, origins: [...new Set(origins)] }
}
