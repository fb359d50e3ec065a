/** The cookie of a session, by where its pages are shown. An embedded page never replaces the session of the browser's tabs. */
const sessionCookies = { tab: 'walhook_session', frame: 'walhook_frame' } as const

export type Shown = keyof typeof sessionCookies

/** What a request says of where its page is shown. The browser says it of a navigation, our script of all else. */
type ShownWhere = {
  /** https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Dest */
  readonly secFetchDest: string | undefined
  /** The header of `frameHeader`. */
  readonly walhookFrame: string | undefined
  /** The query, in which an event stream says it: it has no headers of its own. */
  readonly search: string
}

/** Sent by our script from a framed page; an event stream has it as a parameter. */
export const frameHeader = 'walhook-frame'

/** Where the page of a request is shown. */
export function shownIn({ secFetchDest, walhookFrame, search }: ShownWhere): Shown {
  const isFrame =
    /^i?frame$/.test(secFetchDest ?? '') ||
    walhookFrame !== undefined ||
    new URLSearchParams(search).has(frameHeader)
  return isFrame ? 'frame' : 'tab'
}

/**
 * The name of a session's cookie. With the prefix, over https, no other host of the domain can set it.
 * https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie#cookie_prefixes
 */
export const cookieNameOf = (shown: Shown, isHttps: boolean): string =>
  `${isHttps ? '__Host-' : ''}${sessionCookies[shown]}`

/**
 * The session of a request, from its header `Cookie`: that of the tab or frame that shows the page, else the other one, because over http a
 * browser does not say where. Of two cookies with one name the first counts. Null: there is none.
 */
export function sessionIn(
  cookies: string | undefined,
  { shown, isHttps }: { readonly shown: Shown; readonly isHttps: boolean },
): { readonly shown: Shown; readonly session: string } | null {
  const other = shown === 'frame' ? 'tab' : 'frame'
  for (const where of [shown, other] as const) {
    const cookie = new RegExp(`(?:^|;)\\s*${cookieNameOf(where, isHttps)}=([^;\\s]+)`)
    const session = cookie.exec(cookies ?? '')?.[1]
    if (session !== undefined) return { shown: where, session }
  }
  return null
}
