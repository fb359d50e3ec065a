import type { FanOut } from '../../domain/capture/fan-out.ts'
import type { Outbox } from '../../outbox/database/database.ts'
import { orderFanOuts } from '../../outbox/source/fan-outs.ts'
import type { Log } from '../../runtime/log.ts'
import { throwOfStoring } from '../continuity/failure.ts'

/** Records the rows to send page by page, before the position passes them: after a crash, their transaction comes again. */
export async function recordFanOuts(
  { outbox, slotName, log }: { outbox: Outbox; slotName: string; log: Log },
  fanOuts: readonly FanOut[],
): Promise<void> {
  if (fanOuts.length === 0) return
  await orderFanOuts(outbox, slotName, fanOuts).catch(throwOfStoring)
  for (const { entityType, field, value } of fanOuts)
    log.info('fan_out.ordered', { entity_type: entityType, field, leads_by: value })
}
