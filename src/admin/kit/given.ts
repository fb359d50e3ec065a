import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { once } from '../../control/kit/once.ts'
import type { Result } from '../../control/kit/result.ts'
import type { Texts } from '../texts/en.ts'
import { html } from './html.ts'
import type { PageCall, PageResponse } from './page.ts'

/** A field that is present but invalid, as opposed to absent. */
export const wrong: unique symbol = Symbol('wrong')

/** A field of a form or an address, parsed: undefined if absent; `wrong` also if repeated. */
export function given<T>(
  from: URLSearchParams,
  name: string,
  schema: z.ZodType<T>,
): T | undefined | typeof wrong {
  const [text, ...more] = from.getAll(name)
  if (text === undefined) return undefined
  if (more.length > 0) return wrong
  const read = schema.safeParse(text)
  return read.success ? read.data : wrong
}

/** The answer to a wrong field: nothing was done, since the intention is unclear. */
export function wrongField(t: Texts, name: string): PageResponse {
  const body = html`<p class="notice bad" role="alert">${t.errors.wrongField(name)}</p>`
  return { show: 'page', title: t.errors.conflictTitle, status: 422, body }
}

/** A browser shows the answer to the second click; the first may still wait for a name server. */
const secondClickWaitsMs = 15_000

/**
 * Does the work of a form once, against double clicks and reloads: a repetition gets the first answer. The hidden field `key` is
 * new each time the form is shown; `what` names the operation.
 */
export async function onceOfForm(
  { control, caller, form }: Pick<PageCall, 'control' | 'caller' | 'form'>,
  what: string,
  work: () => Promise<Result<string>>,
): Promise<Result<string>> {
  const hash = createHash('sha256').update(`${what}\n${form}`).digest()
  const request = { key: `form ${hash.toString('hex')}`, hash, waitMs: secondClickWaitsMs }
  const done = await once(control, caller, request, work)
  if (done.state === 'done') return { ok: true, value: done.response }
  if (done.state === 'failed') return done.failure
  throw new Error('two forms have one key')
}
