/** Every text of the pages, in English. What varies is an argument. */
export const en = {
  language: { code: 'en', name: 'English', choose: 'Language' },
  places: { couplings: 'Couplings', health: 'Health', tokens: 'Tokens', audit: 'Audit' },
  groups: { settings: 'Settings', integrations: 'Integrations', system: 'System' },
  layout: {
    skip: 'Skip to the content',
    navigation: 'Settings',
    way: 'Where you are',
    logOut: 'Log out',
    logOutEverywhere: 'Log out everywhere',
    loggedInAs: (name: string) => `Logged in as ${name}`,
    account: 'Account',
    stale: 'The connection is gone, so what you see may be old. It is tried again.',
  },
  roles: { viewer: 'viewer', operator: 'operator', admin: 'admin' },
  logIn: {
    title: 'Log in',
    lead: 'Webhooks tell other systems when a user or a company changes.',
    token: 'Token',
    hint: 'An API token, as made by “walhook token NAME” or by an admin on the page Tokens.',
    submit: 'Log in',
    missing: 'Fill in your token.',
    wrong: 'This token is not known, has expired or was revoked. Check that you copied all of it.',
    slow: (seconds: number) =>
      `There were too many wrong tokens from your network. Wait ${seconds} seconds, then try again.`,
    loggedOut: 'You are logged out.',
    loggedOutEverywhere: 'You are logged out, here and on every other device that used this token.',
  },
  errors: {
    notFoundTitle: 'Not found',
    notFound: 'There is nothing at this address. Perhaps it was deleted, or the link is old.',
    forbiddenTitle: 'Not allowed',
    forbidden: (needed: string, has: string) =>
      `This needs the role ${needed}, and your token has the role ${has}. Nothing was changed. Ask an admin for another token.`,
    failedTitle: 'Something went wrong',
    failed:
      'This could not be done because of a mistake in walhook or a database that is away. The log of walhook says why. Try again in a moment.',
    tooLarge: 'What you have sent is too large, so nothing was changed.',
    toCouplings: 'To the couplings',
  },
  couplings: { title: 'Couplings', new: 'New Webhook' },
}

/** All texts of the pages in one language. English is the pattern: another language must have each of its keys. */
export type Texts = typeof en
