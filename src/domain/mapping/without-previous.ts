import type { Webhook } from '../webhook/webhook.ts'

/**
 * Entity types whose tables do not record what an update changed, each with the SQL that fixes it; null: that takes more than
 * one statement that is safe for the application.
 */
export type WithoutPrevious = ReadonlyMap<string, string | null>

export type Warning = { readonly pointer: string; readonly detail: string }

/** Warnings for settings of a webhook that the tables can't fulfil. */
export function previousWarnings(
  { triggers, previous, updateFields }: Pick<Webhook, 'triggers' | 'previous' | 'updateFields'>,
  withoutPrevious: WithoutPrevious,
): Warning[] {
  return [...withoutPrevious].flatMap(([entityType, sql]) => {
    if (!triggers.some(trigger => trigger === `${entityType}.update`)) return []
    const mend =
      sql === null
        ? 'Run `walhook check`: it says whether they can be had, and how.'
        : `To have them, an administrator of the database runs: ${sql}`
    const without = `the table of ${entityType} does not record the values before an update`
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
