/** Login at a provider of OpenID Connect. */
export const signIn = {
  signIn: {
    with: (provider: string) => `Log in with ${provider}`,
    or: 'or',
    withToken: 'Log in with a token',
    done: 'You are logged in',
    goOn: 'Continue',
    back: 'Back to login',
    other: 'Log in with another account',
    noAccess: 'No access',
    signedInAs: (name: string, provider: string) => `You are logged in at ${provider} as ${name}.`,
    stillThere: (provider: string) => `Your session at ${provider} is still open.`,
    logOutThere: (provider: string) => `Log out at ${provider}`,
    problems: {
      no_role: (provider: string) =>
        `Your account at ${provider} has no role in walhook. Ask the administrator of accounts there for one.`,
      no_tenant: (provider: string) =>
        `Your account at ${provider} belongs to no tenant, so you have access to nothing here. Ask the administrator of accounts there.`,
      unclear_tenant: (provider: string) =>
        `Your account at ${provider} must belong to exactly one tenant. Ask the administrator of accounts there to set it.`,
      unreachable: (provider: string) =>
        `${provider} does not respond. Try again in a moment, or log in with a token.`,
      unusable: (provider: string) =>
        `walhook cannot use the response of ${provider}. The log of walhook says why. You can log in with a token.`,
      client: (provider: string) =>
        `${provider} rejects walhook as a client: the client id or secret is wrong. The log of walhook says more.`,
      clock: (provider: string) =>
        `The clocks of walhook and ${provider} differ, or your session there has expired. Try again; if that does not help, an administrator must set the clocks.`,
      unknown: (_provider: string) => 'This login started in another browser, or has expired. Log in again.',
      expired: (_provider: string) => 'The login took too long. Log in again.',
      used: (_provider: string) => 'This login was completed before. Log in again.',
      cancelled: (provider: string) => `The login at ${provider} was cancelled.`,
      refused: (provider: string) => `${provider} rejected the login. The log of walhook says why.`,
      slow: (_provider: string) => 'Too many logins from your network. Wait a minute, then try again.',
    },
  },
}
