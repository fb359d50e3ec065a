import { expect, test } from 'vitest'
import { sessionIn, shownIn } from '../../src/domain/access/session-cookie.ts'

const says = { secFetchDest: undefined, walhookFrame: undefined, search: '' }

test.each([
  [{ secFetchDest: 'document' }, 'tab'],
  [{ secFetchDest: 'empty' }, 'tab'],
  [{}, 'tab'],
  [{ secFetchDest: 'iframe' }, 'frame'],
  [{ secFetchDest: 'frame' }, 'frame'],
  [{ secFetchDest: 'empty', walhookFrame: 'true' }, 'frame'],
  [{ secFetchDest: 'empty', search: '?a=b&walhook-frame=true' }, 'frame'],
])('a request with %j is shown in a %s', (more, shown) => {
  expect(shownIn({ ...says, ...more })).toBe(shown)
})

const both = 'walhook_session=admin; a=b; walhook_frame=tenant'

test.each([
  ['the session of a tab', both, 'tab', false, 'admin'],
  ['the session of a frame', both, 'frame', false, 'tenant'],
  ['the only one, in a frame', 'walhook_session=admin', 'frame', false, 'admin'],
  ['the only one, in a tab', 'walhook_frame=tenant', 'tab', false, 'tenant'],
  ['over https, the one with the prefix', `__Host-walhook_session=safe; ${both}`, 'tab', true, 'safe'],
  ['over https, none without it', both, 'tab', true, null],
  ['over http, none with it', '__Host-walhook_session=safe', 'tab', false, null],
  ['of two with one name the first', 'walhook_session=one; walhook_session=two', 'tab', false, 'one'],
  ['none of another name', 'x-walhook_session=one; walhook_session_2=two', 'tab', false, null],
] as const)('the chosen session is %s', (_, cookies, shown, isHttps, session) => {
  expect(sessionIn(cookies, { shown, isHttps })?.session ?? null).toBe(session)
})
