import { validateWebhook } from '../../control/webhooks/validate-webhook.ts'
import type { Webhook } from '../../domain/webhook/webhook.ts'
import { fieldErrors } from '../form/error-fields.ts'
import {
  chosen,
  readTyped,
  type ShownProblem,
  shownProblems,
  type Typed,
  validateTyped,
  validateUrl,
  wrongFieldOf,
} from '../form/input.ts'
import { errorsPart } from '../kit/errors.ts'
import { wrongField } from '../kit/given.ts'
import { html, problemText } from '../kit/html.ts'
import { type PageCall, type PageResponse, page } from '../kit/page.ts'
import { reasonText } from '../texts/texts.ts'
import { webhookPage } from './page.ts'

const section = 'couplings'
const role = 'admin'

/** Checks the typed form without saving it. */
export const webhookValidationPages = [
  page({
    method: 'post',
    path: '/couplings/check-url',
    role,
    section,
    tenants: 'own',
    async handle({ control, form, t }) {
      const url = (form.get('url') ?? '').trim()
      const problem = validateUrl(t, url)
      if (problem !== null) return { show: 'part', body: problemText(problem) }
      const verdict = await control.checkTarget(url)
      const body = verdict.ok
        ? html`<p class="fine">${t.form.urlFine}</p>`
        : problemText(reasonText(t, verdict.why))
      return { show: 'part', body }
    },
  }),
  page({
    method: 'post',
    path: '/couplings/validate',
    role,
    section,
    tenants: 'own',
    handle: call => validateForm(call, null),
  }),
  webhookPage({ method: 'post', path: '/couplings/:id/validate', role, handle: validateForm }),
]

async function validateForm(call: PageCall, webhook: Webhook | null): Promise<PageResponse> {
  const { control, form, t } = call
  const field = wrongFieldOf(form, control.entityTypes)
  if (field !== null) return wrongField(t, field)
  const typed = readTyped(form, control.entityTypes, webhook?.headerNames ?? [])
  return { show: 'part', body: errorsPart(fieldErrors(await allProblems(call, typed, webhook), typed)) }
}

/** Every problem of the typed form; for one field, those that the form itself finds come first. */
export async function allProblems(
  { control, caller, t }: PageCall,
  typed: Typed,
  webhook: Webhook | null,
): Promise<ShownProblem[]> {
  const own = validateTyped(t, typed)
  const fields = { ...chosen(typed, webhook?.headerNames ?? []), ...tenantOf(typed) }
  const found = shownProblems(t, await validateWebhook(control, caller, fields, webhook))
  return [...own, ...found.filter(one => !own.some(({ pointer }) => isWithin(one.pointer, pointer)))]
}

const isWithin = (pointer: string, of: string) => pointer === of || pointer.startsWith(`${of}/`)

/** The chosen tenant of a new webhook. */
export const tenantOf = ({ tenant }: Typed) => (tenant === '' ? {} : { tenant })
