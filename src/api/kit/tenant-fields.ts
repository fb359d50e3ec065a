import { z } from 'zod'
import { longestTenant } from '../../domain/event/tenant.ts'
import { text } from './fields.ts'

/** A tenant in a body: its column's value, as text or number. */
export const tenantField = () =>
  z
    .union(
      [text().min(1).max(longestTenant), z.int()],
      `must be a text of 1 to ${longestTenant} characters, or a whole number`,
    )
    .nullable()
    .optional()
    .meta({
      description:
        'Its tenant, which never changes: a value of the column `tenant` of the mapping. Null: no tenant, and it sees all. Default: that of the token.',
    })

/** The same as text. */
export const tenantGiven = (tenant: string | number | null | undefined) =>
  typeof tenant === 'number' ? String(tenant) : tenant

/** A tenant in a query. */
export const tenantAsked = () =>
  text()
    .min(1)
    .max(longestTenant)
    .optional()
    .meta({ description: 'Only those of this tenant. A token with a tenant always gets its own.' })

/** A tenant in a response. */
export const tenantOf = () => z.string().nullable().meta({ description: 'Its tenant. Null: none.' })
