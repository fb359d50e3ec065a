import { createHash } from 'node:crypto'

/**
 * The key under which a form is carried out once, however often it is sent: by a second click, or a page that is loaded
 * again. Its hidden field `key` makes it another form each time it is shown. `what` is what it does.
 */
export function formKey(what: string, form: URLSearchParams): { key: string; hash: Buffer } {
  const hash = createHash('sha256').update(`${what}\n${form}`).digest()
  return { key: `form ${hash.toString('hex')}`, hash }
}
