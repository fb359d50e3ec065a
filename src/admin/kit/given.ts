import { createHash } from 'node:crypto'
import type { z } from 'zod'
import type { Texts } from '../texts/en.ts'
import { html } from './html.ts'
import type { PageAnswer } from './page.ts'

/** What stands for a field that is there and can't be read. It is never taken for one that is absent. */
export const wrong: unique symbol = Symbol('wrong')

/** A field of a form or an address as a schema reads it: undefined where it is absent, wrong also where it is there twice. */
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

/** The answer where a field is wrong: nothing was done, since what was meant is not known. */
export function wrongField(t: Texts, name: string): PageAnswer {
  const body = html`<p class="notice bad" role="alert">${t.errors.wrongField(name)}</p>`
  return { show: 'page', title: t.errors.conflictTitle, status: 422, body }
}

/**
 * The key under which a form is carried out once, however often it is sent: by a second click, or a page that is loaded
 * again. Its hidden field `key` makes it another form each time it is shown. `what` is what it does.
 */
export function formKey(what: string, form: URLSearchParams): { key: string; hash: Buffer } {
  const hash = createHash('sha256').update(`${what}\n${form}`).digest()
  return { key: `form ${hash.toString('hex')}`, hash }
}
