/**
 * What the holder of a token may do, each with all that those before it may: a viewer looks; an operator also
 * tests, resends and cancels; an admin also changes webhooks and tokens, and sees signing secrets.
 */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** Whether a holder of the role `has` may do what needs the role `needed`. */
export function mayAct(has: Role, needed: Role): boolean {
  return roles.indexOf(has) >= roles.indexOf(needed)
}
