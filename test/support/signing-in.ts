import type { SignInConfig } from '../../src/domain/access/sign-in.ts'
import type { OidcProvider } from './oidc-provider.ts'
import type { openTestPages } from './open-pages.ts'

/** How walhook signs people in at a provider of the tests. */
export const configFor = (provider: OidcProvider, more: Partial<SignInConfig> = {}): SignInConfig => ({
  issuer: provider.issuer,
  clientId: provider.client.id,
  clientSecret: provider.client.secret,
  scopes: 'openid email',
  providerName: 'Example',
  sessionMs: 3_600_000,
  ...more,
  mapping: {
    roleClaim: 'roles',
    roles: new Map([
      ['viewer', 'viewer'],
      ['operator', 'operator'],
      ['admin', 'admin'],
    ]),
    tenantClaim: null,
    allTenants: new Set(),
    nameClaim: null,
    userClaim: null,
    ...more.mapping,
  },
})

type Pages = Awaited<ReturnType<typeof openTestPages>>

/** A browser that keeps cookies, and is sent from walhook to the provider and back, one step at a time. */
export function openSigningIn(pages: Pick<Pages, 'send'>) {
  const cookies = new Map<string, string>()
  async function get(path: string, headers: Record<string, string> = {}) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await pages.send(path, { headers: { ...(cookie && { cookie }), ...headers } })
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!
      if (/max-age=0/i.test(line)) cookies.delete(name!)
      else cookies.set(name!, value!)
    }
    return answer
  }
  return {
    cookies,
    get,
    /** Goes to the provider; where it sends the browser back to, as a path. */
    async toProvider(path = '/login/oidc'): Promise<string> {
      const begun = await get(path)
      const there = await fetch(begun.headers.get('location')!, { redirect: 'manual' })
      const back = new URL(there.headers.get('location')!)
      return back.pathname + back.search
    },
    /** All of it. */
    async signIn(path?: string) {
      return await get(await this.toProvider(path))
    },
    sessionCookie: () => `walhook_session=${cookies.get('walhook_session')}`,
  }
}
