import { nameIn } from '../input/name.ts'
import type { ActionType } from './event.ts'
import { openFields, textOf } from './json-fields.ts'

/** The fields of the label, by entity type. */
export type Labels = ReadonlyMap<string, readonly string[]>

/** Longer bodies are not searched for a label. */
export const maxLabelledBytes = 65_536
const longestLabel = 120

/** An entity's label: the texts and numbers of these fields in `result`, or in the `last` of a delete; null: none. */
export function labelOf(fields: readonly string[], body: string): string | null {
  if (body === '' || body.length > maxLabelledBytes) return null
  const whole = openFields(body, 0)
  const values = openFields(whole.get('result') ?? whole.get('last') ?? '{}', 0)
  const words = fields.map(field => wordOf(values.get(field)))
  const label = nameIn(words.join(' ').replaceAll(/[\s\p{C}]+/gu, ' '))
  if (label === '') return null
  return label.length > longestLabel ? `${label.slice(0, longestLabel).toWellFormed()}…` : label
}

function wordOf(json: string | undefined): string {
  if (json === undefined) return ''
  if (json.startsWith('"')) return textOf(json)
  return /^-?\d/.test(json) ? json : ''
}

/** Whether a receiver that got an event of one action as another has had its values. */
export const keepsValues = (action: ActionType, sentAs: string | null): boolean =>
  sentAs === action || (action === 'update' && sentAs === 'new')
