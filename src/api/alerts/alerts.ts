import { z } from 'zod'
import { type Incident, listAlerts } from '../../control/status/alerts.ts'
import { lost } from '../../domain/alert/alert-schema.ts'
import type { CellCursor } from '../../domain/cells/cell-cursor.ts'
import { alertTriggers } from '../../domain/event/alert.ts'
import { cellCursor, limit, pageOf, pageOverCells, time } from '../kit/fields.ts'
import { route } from '../kit/route.ts'

const incidentSchema = z
  .object({
    id: z.int(),
    kind: z.enum(alertTriggers.filter(trigger => trigger !== 'webhook.recovered')),
    webhook_id: z
      .int()
      .nullable()
      .meta({ description: 'The webhook concerned. Null: an incident of capture.' }),
    slot: z.string().nullable().meta({ description: 'The slot concerned. Null: an incident of a webhook.' }),
    since: time(),
    last_at: time().meta({ description: 'When it last happened.' }),
    count: z.int().meta({ description: 'The number of dead letters, or of gaps; otherwise 1.' }),
    reason: z.enum(['gone', 'failed_too_long']).optional(),
    code: z.string().optional(),
    lost: lost.optional(),
    ended_at: time().nullable().meta({ description: 'Null: still open.' }),
  })
  .meta({ id: 'Incident' })

export const alertRoutes = [
  route({
    method: 'get',
    path: '/api/alerts',
    id: 'listAlerts',
    tag: 'Status',
    summary: 'Lists incidents, newest first',
    description:
      'Alerts report them; incidents without a recipient are listed too. Ended ones stay for 90 days.',
    role: 'viewer',
    query: z.strictObject({
      limit: limit(100, 50),
      cursor: cellCursor(),
      open: z.enum(['true', 'false']).optional().meta({ description: 'true: only open incidents.' }),
    }),
    response: { status: 200, what: 'A page of incidents', schema: pageOverCells(incidentSchema) },
    async handle({ control, query: { limit, cursor, open } }) {
      const found = await listAlerts(control, {
        limit,
        before: isFromNewest(cursor) ? null : cursor,
        isOpen: open === 'true',
      })
      return { ok: true, value: pageOf(found, shown) }
    },
  }),
]

/** `0` always began with the newest. */
const isFromNewest = (cursor: CellCursor | undefined): cursor is undefined =>
  cursor === undefined || cursor.get('main') === 0n

function shown({ subject, facts, ...incident }: Incident) {
  const lost = facts.lost?.map(gap => ({ ...gap, entityType: gap.entity_type, tableName: gap.table_name }))
  const slot = incident.webhookId === null ? subject : null
  return { ...facts, ...incident, slot, since: incident.openedAt, lost }
}
