import type { CellCursor } from '../../domain/cells/cell-cursor.ts'
import { type Incident, listIncidents } from '../../outbox/records/incidents.ts'
import { type CellPage, pageOverCells } from '../kit/cells.ts'
import type { Control } from '../kit/control.ts'

export type { Incident }

/** Incidents, newest first; `isOpen`: open ones only. */
export async function listAlerts(
  control: Pick<Control, 'cells'>,
  page: { limit: number; before: CellCursor | null; isOpen: boolean },
): Promise<CellPage<Incident>> {
  return await pageOverCells(
    control,
    page,
    (outbox, { limit, before }) =>
      listIncidents(outbox, { limit, before: before === null ? null : Number(before), isOpen: page.isOpen }),
    ({ openedAt }) => openedAt.getTime(),
  )
}
