import { randomUUID } from 'node:crypto'
import { Agent, request } from 'undici'
import { sign } from '../../../src/domain/webhook/signature.ts'

const secrets = [Buffer.alloc(32, 7)]

/**
 * Makes what posts a body as walhook does: signed by Standard Webhooks, over connections that are kept. The common part
 * of every alternative, so that what differs is what is compared. Throws where the answer is not 2xx.
 */
export function createPost(receiverUrl: string, maxConnections = 100) {
  const dispatcher = new Agent({ connections: maxConnections, pipelining: 1 })
  return async (body: string): Promise<void> => {
    const id = `msg_${randomUUID()}`
    const timestampS = Math.floor(Date.now() / 1000)
    const answer = await request(receiverUrl, {
      method: 'POST',
      dispatcher,
      headers: {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'user-agent': 'bench',
        'accept-encoding': 'identity',
        'webhook-id': id,
        'webhook-timestamp': String(timestampS),
        'webhook-signature': sign({ id, timestampS, body, secrets }),
      },
      body,
    })
    await answer.body.dump()
    if (answer.statusCode >= 300) throw new Error(`the receiver answered ${answer.statusCode}`)
  }
}

/** The JSON of a new user, in SQL, for a trigger's `new` row. */
export const bodySql = `json_build_object('entity_id', new.id, 'entity_type', 'user', 'action_type', 'new', 'result', row_to_json(new))`
