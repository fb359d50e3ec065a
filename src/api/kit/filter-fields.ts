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
        'Sends only entities whose fields have these values, such as `{"user.company_id": 5, "user.gender": ["man", null]}`: a value, or a list of accepted values. All fields must match. Types count: `5` equals `5.0`, but not `"5"`. A list field matches if one of its items does. Entity types that the filter does not name are all sent. A `delete` is sent if its `last` values match, or if it has none. Everybody who may read the webhook sees the values. Null: no filter.',
    }),
  filter_entering: z.enum(enteringForms).meta({
    description:
      'The `action_type` of an update with which an entity starts to match: `update`, or `new` for a receiver that stores matching entities only. Without REPLICA IDENTITY FULL, always `update`.',
  }),
  filter_leaving: z.enum(leavingForms).meta({
    description:
      'The event for an update with which an entity stops matching: `nothing`, `update` with its new values, or `delete`. Without REPLICA IDENTITY FULL, `update` sends nothing, and `delete` is sent for every update that does not match.',
  }),
}
