import { z } from 'zod'
import { type FieldProblem, wrongField } from '../../control/kit/result.ts'
import { applyWebhooks } from '../../control/webhooks/apply.ts'
import { type ApplyInput, pointerOf, type Unreadable } from '../../control/webhooks/apply-plan.ts'
import type { WrittenWebhook } from '../../control/webhooks/plan-webhook.ts'
import { because } from '../../domain/shown/reason.ts'
import { nearest } from '../../domain/value/nearest.ts'
import { anyJson, name, text } from '../kit/fields.ts'
import { toCode } from '../kit/names.ts'
import { respond, route } from '../kit/route.ts'
import { chosen, newWebhook } from './webhook-fields.ts'

const written = newWebhook
  .omit({ name: true })
  .extend({
    secret: text().optional().meta({
      description:
        'The signing secret that the receiver already has. Without it, walhook creates one, and the response shows it once. A different one replaces the old one; for 24 hours both sign.',
    }),
  })
  .meta({ id: 'WrittenWebhook' })
const applyRequest = z
  .strictObject({
    source: name().meta({
      description: 'The manager of these webhooks: the name of the file.',
    }),
    webhooks: z
      .record(z.string(), written.or(z.unknown()))
      .refine(all => Object.keys(all).length <= 1_000, 'must hold at most 1000')
      .meta({ description: 'By name, each with all its settings: absent ones get their defaults.' }),
    dry_run: z.boolean().default(false).meta({ description: 'Only reports the differences.' }),
    prune: z
      .boolean()
      .default(false)
      .meta({ description: 'Deletes webhooks that this source no longer contains.' }),
    force: z
      .boolean()
      .default(false)
      .meta({ description: 'Takes over webhooks that another source manages.' }),
  })
  .meta({ id: 'ApplyRequest' })

const appliedSchema = z
  .object({
    applied: z.boolean().meta({ description: 'false: a dry run.' }),
    webhooks: z.array(
      z.object({
        name: z.string(),
        id: z.int().nullable().meta({ description: 'Null: a dry run would create it.' }),
        action: z.enum(['create', 'change', 'delete', 'none', 'left']).meta({
          description: '`left`: no longer in the source, and kept without `prune`.',
        }),
        differences: z.array(
          z.object({
            field: z.string(),
            from: anyJson().optional(),
            to: anyJson().optional().meta({ description: 'A secret is never shown.' }),
          }),
        ),
        secret: z
          .string()
          .optional()
          .meta({ description: 'The signing secret of a new webhook: shown only once.' }),
      }),
    ),
  })
  .meta({ id: 'Applied' })

export const applyRoutes = [
  route({
    method: 'post',
    path: '/api/apply',
    id: 'applyWebhooks',
    tag: 'Webhooks',
    summary: 'Makes webhooks match a file',
    description:
      'All in one transaction, or nothing, with every problem at once. It takes over webhooks of the same name without a source; other webhooks stay as they are.',
    role: 'admin',
    tenants: 'own',
    body: applyRequest,
    response: { status: 200, what: 'The result for each webhook', schema: appliedSchema },
    async handle({ control, caller, body }) {
      const input: ApplyInput = {
        source: body.source,
        ...readAll(body.webhooks),
        prunes: body.prune,
        isDry: body.dryRun,
        isForced: body.force,
      }
      const applied = await applyWebhooks(control, caller, input)
      return respond(applied, webhooks => ({
        applied: !body.dryRun,
        webhooks: webhooks.map(({ differences, ...rest }) => ({
          ...rest,
          differences: differences as z.input<typeof appliedSchema>['webhooks'][number]['differences'],
        })),
      }))
    },
  }),
]

/** Each webhook separately: an error in one hides no error of another, nor of its other fields. */
function readAll(all: Readonly<Record<string, unknown>>): Pick<ApplyInput, 'webhooks' | 'unreadable'> {
  const webhooks = new Map<string, WrittenWebhook>()
  const unreadable = new Map<string, Unreadable>()
  for (const [given, value] of Object.entries(all)) {
    const named = name().safeParse(given)
    const read = written.safeParse(value)
    if (named.success && named.data === given && read.success) webhooks.set(given, inWords(read.data))
    else {
      const ofName = named.error?.issues.map(({ message }) =>
        wrongField(pointerOf(given), because('webhook.field_value', { field: 'the name', why: message })),
      )
      const ofSpace =
        named.success && named.data !== given
          ? [
              wrongField(
                pointerOf(given),
                because('webhook.field_value', { field: 'the name', why: 'has white space around it' }),
              ),
            ]
          : []
      const issues = read.error?.issues ?? []
      unreadable.set(given, {
        readable: readable(value, issues),
        problems: [...(ofName ?? []), ...ofSpace, ...issues.flatMap(issue => problemsOf(given, issue))],
      })
    }
  }
  return { webhooks, unreadable }
}

type Issue = z.core.$ZodIssue

const pointerPart = (part: PropertyKey) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`

function problemsOf(webhook: string, issue: Issue): FieldProblem[] {
  const at = `${pointerOf(webhook)}${issue.path.map(pointerPart).join('')}`
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(field =>
      wrongField(
        at + pointerPart(field),
        because('webhook.no_such_field', { field, meant: nearest(field, Object.keys(written.shape)) }),
      ),
    )
  const field = issue.path.join('.') || 'the webhook'
  return [wrongField(at, because('webhook.field_value', { field, why: issue.message }))]
}

/** The fields without an issue. */
function readable(value: unknown, issues: readonly Issue[]): Partial<WrittenWebhook> {
  if (typeof value !== 'object' || value === null) return {}
  const wrong = new Set(issues.map(({ path }) => String(path[0])))
  const known = Object.entries(value).filter(([field]) => field in written.shape && !wrong.has(field))
  const read = written.partial().safeParse(Object.fromEntries(known))
  if (!read.success) return {}
  const given = Object.fromEntries(Object.entries(read.data).filter(([field]) => field in value))
  return inWords(given as z.output<typeof written>)
}

const inWords = (read: z.output<typeof written>): WrittenWebhook => chosen(toCode(written, read))
