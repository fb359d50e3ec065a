import type { Failed } from '../../control/kit/result.ts'
import type { Texts } from '../texts/en.ts'
import { reasonText } from '../texts/texts.ts'
import { html } from './html.ts'
import type { PageResponse } from './page.ts'

/** The page for a failed operation without a field to show the problem at. */
export function failedPage(t: Texts, failure: Failed): PageResponse {
  switch (failure.kind) {
    case 'not_found':
      return sentence(t.errors.notFoundTitle, t.errors.notFound, 404)
    case 'stale':
      return sentence(t.errors.staleTitle, t.errors.stale, 409)
    case 'forbidden':
      return sentence(t.errors.conflictTitle, reasonText(t, failure.reason), 403)
    case 'conflict':
      return sentence(t.errors.conflictTitle, reasonText(t, failure.reason), 409)
    case 'busy':
      return sentence(t.errors.conflictTitle, t.test.busy(failure.retryAfterS), 409)
    case 'unavailable':
      return sentence(t.errors.conflictTitle, reasonText(t, failure.reason), 503)
    case 'invalid':
      return sentence(
        t.errors.conflictTitle,
        failure.problems.map(({ reason }) => reasonText(t, reason)).join(' '),
        422,
      )
    default:
      return failure satisfies never
  }
}

function sentence(title: string, text: string, status: 403 | 404 | 409 | 422 | 503): PageResponse {
  return { show: 'page', title, status, body: html`<p class="notice bad" role="alert">${text}</p>` }
}
