import { checkPositionals, webhookId } from './options.ts'
import { fieldsTable, print, refused } from './output.ts'
import { subcommand } from './subcommands.ts'
import type { Cell } from './table.ts'

const json = { json: { type: 'boolean', default: false } } as const

type Fields = Readonly<Record<string, unknown>>
type ShownReplay = Fields & {
  readonly id: number
  readonly state: string
  readonly from: string
  readonly to: string
  readonly missed: boolean
  readonly counted: number
  readonly is_exact: boolean
  readonly looked_at: number
  readonly queued: number
}

/** `webhooks missed ID`: the number of events it missed while inactive; `--send` starts their replay. */
export const missed = subcommand(
  { ...json, send: { type: 'boolean', default: false } },
  async ({ values, positionals }, call) => {
    const [text] = checkPositionals(positionals, 1, 'missed')
    const id = webhookId(text, 'missed')
    const send = call()
    if (!send) return 1
    if (values.send) {
      const started = await send<ShownReplay>('POST', `/api/webhooks/${id}/replays`, { missed: true })
      if (!started.ok) return refused(started)
      print(started.value, fieldsTable, values.json)
      return 0
    }
    const called = await send<{ missed: Fields | null }>('GET', `/api/webhooks/${id}/missed`)
    if (!called.ok) return refused(called)
    print(
      called.value.missed,
      found => fieldsTable(found ?? { missed: 'none: no inactive time of the webhook is known' }),
      values.json,
    )
    return 0
  },
)

/** `webhooks replays ID`: the last replays with their progress; `--stop REPLAY` stops one. */
export const replays = subcommand(
  { ...json, stop: { type: 'string' } },
  async ({ values, positionals }, call) => {
    const [text] = checkPositionals(positionals, 1, 'replays')
    const id = webhookId(text, 'replays')
    const path = `/api/webhooks/${id}/replays`
    const send = call()
    if (!send) return 1
    if (values.stop !== undefined) {
      const stopped = await send<ShownReplay>('DELETE', `${path}/${webhookId(values.stop, 'replays --stop')}`)
      if (!stopped.ok) return refused(stopped)
      print(stopped.value, fieldsTable, values.json)
      return 0
    }
    const called = await send<{ data: readonly ShownReplay[] }>('GET', path)
    if (!called.ok) return refused(called)
    print(called.value.data, replaysTable, values.json)
    return 0
  },
)

function replaysTable(rows: readonly ShownReplay[]): [string[], Cell[][]] {
  return [
    ['ID', 'STATE', 'FROM', 'TO', 'DONE', 'OF', 'QUEUED', 'WHAT'],
    rows.map(({ id, state, from, to, looked_at, counted, is_exact, queued, missed }) => [
      ...[String(id), state, from, to, String(looked_at)],
      ...[`${is_exact ? '' : 'about '}${counted}`, String(queued), missed ? 'missed' : 'range'],
    ]),
  ]
}
