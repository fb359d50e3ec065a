import type { Webhook } from '../webhook/webhook.ts'

/**
 * Entity types whose tables do not tell what an update changed; each with the SQL that makes them, or null where that takes
 * more than one statement that is safe for the application.
 */
export type Untold = ReadonlyMap<string, string | null>

export type Warning = { readonly pointer: string; readonly detail: string }

/** What a webhook asks for that the tables can't give: it is sent what there is. */
export function untoldWarnings(
  { triggers, previous, updateFields }: Pick<Webhook, 'triggers' | 'previous' | 'updateFields'>,
  untold: Untold,
): Warning[] {
  return [...untold].flatMap(([entityType, sql]) => {
    if (!triggers.some(trigger => trigger === `${entityType}.update`)) return []
    const mend =
      sql === null
        ? 'Run `walhook check`: it says whether they can be had, and how.'
        : `To have them, an administrator of the database runs: ${sql}`
    const without = `the table of ${entityType} does not tell the values before an update`
    const isFiltered = updateFields?.some(name => name.startsWith(`${entityType}.`)) ?? false
    return [
      ...(previous ? [{ pointer: '/previous', detail: `Sent without: ${without}. ${mend}` }] : []),
      ...(isFiltered
        ? [
            {
              pointer: '/update_fields',
              detail: `Every update of ${entityType} is sent, whatever it changes: ${without}. ${mend}`,
            },
          ]
        : []),
    ]
  })
}
