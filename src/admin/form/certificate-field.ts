import type { ShownCertificate } from '../../domain/webhook/client-certificate.ts'
import { errorAttributes, errorText, type FieldError } from '../kit/errors.ts'
import { type Html, html, moment } from '../kit/html.ts'
import type { Texts } from '../texts/en.ts'

/** The client certificate of a webhook, and fields for a new one. A typed key is never shown again. */
export function certificateField(
  t: Texts,
  stored: ShownCertificate | null,
  typed: { readonly clientCertificate: string; readonly noCertificate: boolean },
  errors: readonly FieldError[],
): Html {
  const f = t.form.certificate
  return html`<fieldset class="plain"><legend>${f.title}</legend><p class="hint">${f.hint}</p>
${
  stored &&
  html`<p>${f.stored(stored.subject)} ${moment(stored.expiresAt, 'second')}</p>
<div class="check"><input type="checkbox" id="no_certificate" name="no_certificate"${typed.noCertificate && html` checked`}><label for="no_certificate">${f.remove}</label></div>`
}
<div class="field"><label for="client_certificate">${f.certificate}</label><textarea id="client_certificate" name="client_certificate" rows="3" spellcheck="false" autocomplete="off" placeholder="-----BEGIN CERTIFICATE-----"${errorAttributes(errors, 'client_certificate')}>${typed.clientCertificate}</textarea>${errorText(errors, 'client_certificate')}</div>
<div class="field"><label for="client_key">${f.key}</label><textarea id="client_key" name="client_key" rows="3" spellcheck="false" autocomplete="off" placeholder="-----BEGIN PRIVATE KEY-----"${errorAttributes(errors, 'client_key')}></textarea>${errorText(errors, 'client_key')}</div>
</fieldset>`
}
