import { seconds } from './counts.ts'

/** Common to all pages: layout, log-in, errors and words. */
export const shared = {
  language: { code: 'en', name: 'English', choose: 'Language' },
  sections: {
    couplings: 'Couplings',
    events: 'Events',
    catalogue: 'Event catalogue',
    health: 'Health',
    tokens: 'Tokens',
    audit: 'Audit log',
  },
  groups: { settings: 'Settings', integrations: 'Integrations', system: 'System' },
  layout: {
    skip: 'Skip to content',
    navigation: 'Settings',
    way: 'Breadcrumb',
    logOut: 'Log out',
    logOutEverywhere: 'Log out everywhere',
    loggedInAs: (name: string) => `Logged in as ${name}`,
    account: 'Account',
    stale: 'Connection lost, reconnecting. This page may be out of date.',
  },
  roles: { viewer: 'viewer', operator: 'operator', admin: 'admin' },
  logIn: {
    title: 'Log in',
    lead: 'Webhooks notify other systems when a user or a company changes.',
    token: 'Token',
    hint: 'An API token, created with “walhook token NAME” or by an admin on the Tokens page.',
    submit: 'Log in',
    missing: 'Enter your token.',
    wrong: 'This token is unknown, expired or revoked. Check that you copied all of it.',
    slow: (wait: number) => `Too many wrong tokens from your network. Wait ${seconds(wait)}, then try again.`,
    over: 'Your session has expired',
    overHere:
      'Your input is still on this page. Log in in another tab, or open Couplings there from your application. Then send it again.',
    inNewTab: 'Log in in a new tab',
    sendAgain: 'Send again',
    loggedOut: 'You are logged out.',
    loggedOutEverywhere: 'You are logged out here and on every other device that used this token.',
  },
  errors: {
    notFoundTitle: 'Not found',
    notFound: 'This page does not exist. It may have been deleted, or the link is out of date.',
    forbiddenTitle: 'Not allowed',
    forbidden: (needed: string, has: string) =>
      `This needs the role ${needed}; your token has the role ${has}. Nothing was changed. Ask an admin for another token.`,
    failedTitle: 'Something went wrong',
    failed:
      'walhook failed, or its database is unreachable. The log of walhook says why. Try again in a moment.',
    tooOften: 'Too many requests. Wait a moment, then try again.',
    tooLarge: 'The form is too large. Nothing was changed. Shorten its values, or use the API.',
    staleTitle: 'Changed in the meantime',
    stale:
      'Somebody else changed this webhook while you edited it. Nothing was saved. Your input is below: save again to overwrite their changes.',
    staleWhat: 'Their changes',
    conflictTitle: 'Not possible',
    someWrong: 'Correct the errors, then try again.',
    wrongField: (name: string) =>
      `The field ${name} has an unexpected value. Nothing was changed. Reload the page.`,
    toCouplings: 'Go to Couplings',
  },
  original: 'Original message',
  yes: 'Yes',
  no: 'No',
  units: { day: 'd', hour: 'h', minute: 'min' },
  entities: { user: 'User', company: 'Company' },
  actions: { new: 'new', update: 'update', delete: 'delete', test: 'test' },
  outcomes: {
    delivered: 'Delivered',
    refused: 'Refused',
    unreachable: 'Unreachable',
    blocked: 'Blocked',
    cancelled: 'Aborted',
  },
  timedOut: 'Timed out',
  phases: { dns: 'DNS', connect: 'Connect', tls: 'TLS', first_byte: 'First byte', body: 'Body' },
}
