import type { MailProblem } from '../../domain/alert/recipient.ts'
import type { AlertTrigger } from '../../domain/event/alert.ts'
import { because } from '../../domain/shown/reason.ts'
import { errorAttributes, errorText, type FieldError } from '../kit/errors.ts'
import { type Html, html } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'
import { reasonText } from '../texts/texts.ts'

/** The alerts of a webhook and the recipients of its mails. Open unless empty. `lacks`: what sending them lacks. */
export function alertField(
  t: Texts,
  alerts: readonly AlertTrigger[],
  typed: { readonly triggers: readonly string[]; readonly alertTo: string | undefined },
  errors: readonly FieldError[],
  lacks: MailProblem | null,
): Html {
  const a = t.alerts
  const isUsed =
    errors.some(({ field }) => field === 'alert_to') ||
    Boolean(typed.alertTo) ||
    alerts.some(one => typed.triggers.includes(one))
  return html`<details${isUsed && html` open`}><summary><h2>${a.title}</h2><span class="hint">${a.hint}</span></summary>
<div class="grid">
<fieldset class="plain"><legend>${a.triggers}</legend><p class="hint">${a.triggersHint}</p>
<div class="names alerts">${alerts.map(
    trigger =>
      html`<label><input type="checkbox" name="trigger" value="${trigger}"${typed.triggers.includes(trigger) && html` checked`}> ${a.of[trigger]} <code>${trigger}</code></label>`,
  )}</div></fieldset>
<div class="field"><label for="alert_to">${a.mail}</label>
<input id="alert_to" name="alert_to" value="${typed.alertTo ?? ''}" autocomplete="off" spellcheck="false" placeholder="ops@example.com"${errorAttributes(errors, 'alert_to', 'alert_to-hint')}>
<p class="hint" id="alert_to-hint">${a.mailHint}</p>
${lacks !== null && html`<p class="notice warn">${reasonText(t, because(`mail.${lacks}`))}</p>`}
${errorText(errors, 'alert_to')}</div>
</div></details>`
}
