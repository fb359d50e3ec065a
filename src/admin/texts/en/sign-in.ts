/** Log-in at a provider of OpenID Connect. */
export const signIn = {
  signIn: {
    with: (provider: string) => `Log in with ${provider}`,
    or: 'or',
    withToken: 'Log in with a token',
    done: 'You are logged in',
    goOn: 'Continue',
    back: 'To the log-in',
    other: 'Log in with another account',
    noAccess: 'No access',
    signedInAs: (name: string, provider: string) => `You are signed in at ${provider} as ${name}.`,
    stillThere: (provider: string) => `Your session at ${provider} is still open.`,
    logOutThere: (provider: string) => `Log out at ${provider}`,
    problems: {
      no_role: (provider: string) =>
        `Your account at ${provider} has no role in walhook. Ask the administrator of accounts there for one.`,
      no_tenant: (provider: string) =>
        `Your account at ${provider} belongs to no tenant, so there is nothing that you may see here. Ask the administrator of accounts there.`,
      unclear_tenant: (provider: string) =>
        `Your account at ${provider} does not say which one tenant you belong to. Ask the administrator of accounts there.`,
      unreachable: (provider: string) =>
        `${provider} does not answer. Try again in a moment. Logging in with a token works.`,
      unusable: (provider: string) =>
        `walhook cannot use the answer of ${provider}. The log of walhook says why. Logging in with a token works.`,
      client: (provider: string) =>
        `${provider} does not accept walhook as a client. Its id or its secret is wrong: the log of walhook says more.`,
      clock: (provider: string) =>
        `The clocks of walhook and ${provider} differ, or your session there has ended. Try again; if that does not help, an administrator must set the clocks.`,
      unknown: (_provider: string) =>
        'This log-in was not begun in this browser, or is over. Begin it again here.',
      expired: (_provider: string) => 'The log-in took too long. Begin it again.',
      used: (_provider: string) => 'This log-in was completed before. Begin it again.',
      cancelled: (provider: string) => `The log-in at ${provider} was cancelled.`,
      refused: (provider: string) => `${provider} did not let you in. The log of walhook says why.`,
      slow: (_provider: string) => 'Too many log-ins come from your network. Wait a minute, then try again.',
    },
  },
}
