/**
 * What a token permits; each role includes the ones before it. A viewer reads; an operator also tests, resends and cancels;
 * an admin also changes webhooks and tokens, and sees signing secrets.
 */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

export function mayAct(has: Role, needed: Role): boolean {
  return roles.indexOf(has) >= roles.indexOf(needed)
}
