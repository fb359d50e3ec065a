import { printLine, UsageError } from '../kit/command.ts'
import type { Called } from './call.ts'
import { checkPositionals, webhookId } from './options.ts'
import { print, refused } from './output.ts'
import { subcommand } from './subcommands.ts'
import type { Cell } from './table.ts'

/** A field in the API. */
type ShownField = {
  readonly name: string
  readonly type: string
  readonly is_list: boolean
  readonly nullable: boolean
  readonly values?: readonly unknown[]
  readonly fields?: readonly ShownField[]
}
type ShownType = {
  readonly trigger: string
  readonly fields: readonly ShownField[]
  readonly example: unknown
}

type Page = { readonly data: readonly ShownType[]; readonly next_cursor: string | null }

/** `webhooks types`: every trigger; `webhooks types TRIGGER`: the fields of its events. */
export const types = subcommand(
  { json: { type: 'boolean', default: false } },
  async ({ values, positionals }, call) => {
    const [trigger] = checkPositionals(positionals, 1, 'types')
    const get = call()
    if (!get) return 1
    const data: ShownType[] = []
    for (let cursor: string | null = '0'; cursor !== null; ) {
      const page: Called<Page> = await get<Page>('GET', `/api/event-types?cursor=${cursor}`)
      if (!page.ok) return refused(page)
      data.push(...page.value.data)
      cursor = page.value.next_cursor
    }
    if (trigger === undefined) {
      print(data, typesTable, values.json)
      return 0
    }
    const one = data.find(each => each.trigger === trigger)
    if (!one)
      return refused({
        ok: false,
        lines: [`There is no trigger ${trigger}. Fix: walhook webhooks types shows all triggers`],
      })
    print(one, fieldsOfType, values.json)
    return 0
  },
)

/** `webhooks schema ID`, `webhooks schema TRIGGER`: a JSON Schema, on a terminal too. */
export const schema = subcommand({}, async ({ positionals }, call) => {
  const [of] = checkPositionals(positionals, 1, 'schema')
  if (of === undefined)
    throw new UsageError('schema: takes the ID of a webhook, or a trigger: walhook webhooks types shows them')
  const path = of.includes('.')
    ? `/api/event-types/${encodeURIComponent(of)}/schema`
    : `/api/webhooks/${webhookId(of, 'schema')}/schema`
  const called = await call()?.('GET', path)
  if (!called) return 1
  if (!called.ok) return refused(called)
  printLine(JSON.stringify(called.value, null, 2))
  return 0
})

function typesTable(types: readonly ShownType[]): [string[], Cell[][]] {
  return [
    ['TRIGGER', 'FIELDS'],
    types.map(({ trigger, fields }) => [trigger, fields.map(({ name }) => name).join(' ')]),
  ]
}

function fieldsOfType({ fields }: ShownType): [string[], Cell[][]] {
  return [['FIELD', 'TYPE', 'NULL', 'VALUES'], rowsOf(fields)]
}

function rowsOf(fields: readonly ShownField[], before = ''): Cell[][] {
  return fields.flatMap(({ name, type, is_list, nullable, values = [], fields: inner = [] }) => [
    [
      `${before}${name}`,
      is_list ? `list of ${type}` : type,
      nullable ? 'or null' : '',
      values.map(value => (typeof value === 'string' ? value : JSON.stringify(value))).join(' '),
    ],
    ...rowsOf(inner, `${before}${name}${is_list ? '[]' : ''}.`),
  ])
}
