import { type ExplainTexts, shortened } from '../../../domain/failure/explain-texts.ts'
import { failureInDutch } from '../failure.ts'

const count = (attempts: number) => (attempts === 1 ? 'één poging' : `${attempts || 'geen'} pogingen`)
const behind = ({ event, entityType }: { event: bigint; entityType: string }, what: string) =>
  `Wacht op melding ${event} over hetzelfde onderwerp (${entityType}), ${what}: meldingen over een onderwerp worden op volgorde verstuurd.`

export const explainTextsNl: ExplainTexts = {
  delivered: (at, attempt) => `Afgeleverd op ${at}, bij poging ${attempt}.`,
  deliveredBefore: at => `Eerder al eens afgeleverd, op ${at}.`,
  lastTried: (at, attempt) =>
    `Laatste poging op ${at} (poging ${attempt}), niet geaccepteerd. De melding staat niet meer in de wachtrij.`,
  noTrace: () =>
    'De webhook heeft erom gevraagd, maar er is geen spoor meer van: de log van toen is verwijderd, of de webhook is rond dat moment gewijzigd.',
  inFlight: () => 'Op dit moment onderweg: de ontvanger heeft nog niet geantwoord.',
  behindInFlight: of => behind(of, 'die onderweg is'),
  behindRetried: (of, at) => behind(of, `met een nieuwe poging op ${at}`),
  behindDue: of => behind(of, 'die aan de beurt is'),
  behindFirst: of => behind(of, 'die voorgaat'),
  blocked: () => 'Niet verstuurd: het adres is niet toegestaan.',
  notAccepted: () => 'Nog niet geaccepteerd.',
  nextAttempt: (attempt, at) => `Poging ${attempt} volgt op ${at}.`,
  inactive: () => 'Wacht tot de webhook weer actief is: een beheerder heeft hem op inactief gezet.',
  disabled: at =>
    `Wacht tot de webhook weer actief is: hij is${at === null ? '' : ` op ${at}`} uitgeschakeld.`,
  held: until => `Wordt verstuurd zodra de ontvanger weer verzoeken aanneemt: hij wil er geen vóór ${until}.`,
  next: () => 'Is aan de beurt, zodra de webhook ruimte heeft voor nog een verzoek.',
  noProcess: () => 'Wordt verstuurd zodra een proces van walhook weer aflevert: op dit moment doet geen dat.',
  catchingUp: () => 'Wacht op zijn beurt: de webhook loopt achter en krijgt eerst wat eerder kwam.',
  dead: (at, attempts) => `Opgegeven op ${at}, na ${count(attempts)}.`,
  lastFailure: reason => `De laatste: ${reason}`,
  canBeResent: () => 'Handmatig opnieuw versturen kan.',
  superseded: by => `Vervangen door melding ${by}: de webhook wil van elk onderwerp alleen de laatste stand.`,
  cancelled: (at, attempts) => `Geannuleerd door een beheerder op ${at}, na ${count(attempts)}.`,
  otherTenant: () => 'Niet verstuurd: de melding is niet van de organisatie van deze webhook.',
  madeLater: at => `Niet verstuurd: de webhook is gemaakt op ${at}, na de melding. Alsnog versturen kan.`,
  forAnother: id => `Niet verstuurd: de melding is door een backfill alleen voor webhook ${id} gemaakt.`,
  inactiveThen: () => 'Niet verstuurd: de webhook was toen niet actief.',
  disabledThen: () => 'Niet verstuurd: de webhook was toen uitgeschakeld.',
  asItIsNow: () => 'Zo staat het nu ingesteld; hoe het toen was, is niet vastgelegd.',
  filtered({ field, json, isOver, wanted, hasLeft }) {
    const is = json === null ? 'staat niet in de melding' : `${isOver ? 'was' : 'is'} ${json}`
    const left = hasLeft ? ' Eerder voldeed het wel, en de webhook krijgt niet te horen wat afvalt.' : ''
    return `Niet verstuurd: ${field} ${is}, en het filter wil ${shortened(wanted.join(' of '))}.${left}`
  },
  notSubscribed: trigger => `Niet verstuurd: de webhook vroeg niet om ${trigger}.`,
  noWantedField: (changed, wanted) =>
    `Niet verstuurd: de wijziging betrof ${changed.join(', ') || 'geen veld'}, en de webhook wil alleen wijzigingen van ${wanted.join(', ')}.`,
  alertNotSubscribed: trigger => `Niet verstuurd: de webhook vraagt niet om ${trigger}.`,
  alertForOthers: () =>
    'Niet verstuurd: een waarschuwing gaat naar de webhooks die op dat moment actief zijn en de trigger hebben, behalve naar die waar hij over gaat.',
  reason: failureInDutch,
}
