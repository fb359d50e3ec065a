import { z } from 'zod'
import { enteringForms, leavingForms } from '../../domain/event/filter.ts'

const value = z.union([z.string(), z.number(), z.boolean(), z.null()])

/** The filter of a webhook, in requests and responses. */
export const filterFields = {
  filter: z
    .record(
      z.string(),
      z.union([value, z.array(value).max(1_000)], {
        error: 'must be a text, a number, true, false, null, or a list of at most 1000 of those',
      }),
    )
    .refine(fields => Object.keys(fields).length > 0, 'must name at least one field; null for no filter')
    .refine(fields => Object.keys(fields).length <= 50, 'must name at most 50 fields')
    .meta({ id: 'Filter', description: 'By field: a value, or a list of accepted values.' })
    .nullable()
    .meta({
      description:
        'Only entities whose fields have these values, as in `{"user.company_id": 5, "user.gender": ["man", null]}`: a value, or a list of accepted values. Values are compared by type: `5` equals `5.0`, and not `"5"`. A field that is a list matches where one of its items does. All fields must match. Entity types that are not named are not filtered. A `delete` is sent where its `last` values match, and always where it has none. Everybody who may read the webhook sees the values. Null: no filter.',
    }),
  filter_entering: z.enum(enteringForms).meta({
    description:
      'The `action_type` of an update by which an entity begins to match: `update`, or `new` for a receiver that keeps only what matches. Known only with REPLICA IDENTITY FULL: else it is `update`.',
  }),
  filter_leaving: z.enum(leavingForms).meta({
    description:
      'What is sent of an update by which an entity ceases to match: `nothing`, `update` with its new values, or `delete`. Without REPLICA IDENTITY FULL, `update` sends nothing, and `delete` is sent of every update that does not match.',
  }),
}
