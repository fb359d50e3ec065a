import type { FieldError } from '../kit/errors.ts'
import { isIncomplete } from './filter-field.ts'
import type { ShownProblem, Typed } from './input.ts'

export function fieldErrors(problems: readonly ShownProblem[], typed: Typed): FieldError[] {
  return problems.map(({ pointer, detail }) => ({ field: fieldOf(pointer, typed), detail }))
}

function fieldOf(pointer: string, { headers, filter }: Typed): string {
  const [top = '', ...rest] = pointer.slice(1).split('/').map(unescaped)
  const row = (index: number) => Math.max(0, index)
  switch (top) {
    case 'headers':
      return `header_name-${row(headers.findIndex(({ name }) => name === rest[0]))}`
    case 'filter': {
      const rows = filter?.rows ?? []
      const index =
        rest.length > 0 ? rows.findIndex(({ field }) => field === rest[0]) : rows.findIndex(isIncomplete)
      return `filter_field-${row(index)}`
    }
    case 'batch':
      return rest[0] ?? 'batch'
    default:
      return top
  }
}

const unescaped = (step: string) => step.replaceAll('~1', '/').replaceAll('~0', '~')
