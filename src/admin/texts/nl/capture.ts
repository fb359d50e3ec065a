import type { CaptureCode } from '../../../domain/capture/capture-code.ts'
import type { LostTexts } from '../../../domain/capture/lost-texts.ts'
import type { PageCode } from '../../../domain/capture/page-failures.ts'
import type { ProblemCode } from '../../../domain/value/problem-codes.ts'

/** The meaning and fix of each capture code, in Dutch. The English reason has the details. */
export const captureCodesNl: Record<CaptureCode, string> = {
  'capture.source_unavailable':
    'De brondatabase antwoordt niet, weigert de verbinding of verbreekt die. Controleer of de server van DATABASE_URL draait, bereikbaar is en verbindingen vrij heeft, en de rol en haar wachtwoord accepteert: walhook check.',
  'capture.outbox_unavailable':
    'De outboxdatabase antwoordt niet, weigert de verbinding of verbreekt die. Controleer of de server van OUTBOX_DATABASE_URL (of anders DATABASE_URL) draait, bereikbaar is en verbindingen vrij heeft, en de rol en haar wachtwoord accepteert.',
  'capture.database_setup':
    'De inrichting van een database weigert het werk van walhook: een recht, row level security, een ontbrekende tabel of schema, een beschadigde index of beschadigd bestand. Doe wat de tekst hieronder zegt: walhook check toont wat ontbreekt. Daarna gaat walhook vanzelf verder waar het was, en slaat niets over.',
  'capture.timed_out':
    'Een time-out, een deadlock of een beheerder breekt het werk van walhook in een database steeds af. Zoek de oorzaak: een time-out van de database of de rol, een pooler, of pg_terminate_backend.',
  'capture.source_problem':
    'Iets in de brondatabase past niet bij de mapping of zou schade doen. Doe wat de tekst hieronder zegt; walhook controleert het elke paar seconden opnieuw. “walhook check” toont alles in één keer.',
  'capture.unasked_message':
    'De server stuurt een soort bericht dat walhook niet kent. Werk walhook bij. Is dit de nieuwste versie: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.cannot_read':
    'walhook kan dezelfde plaats in de WAL steeds niet lezen. Doe wat de tekst hieronder zegt. Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.cannot_store':
    'De outbox weigert steeds dezelfde wijzigingen. Doe wat de tekst hieronder zegt: een trigger of constraint die aan de tabellen van walhook is toegevoegd. Helpt dat niet: stop walhook, voer “walhook resync --force --yes” uit en start het weer.',
  'capture.changes_lost':
    'Er zijn wijzigingen verloren gegaan; walhook heeft dat vastgelegd. Stop walhook, voer “walhook resync” uit en start het weer.',
  'capture.mapping_lost':
    'Een tabel of kolom uit de mapping is uit de brondatabase verwijderd; walhook leest al het andere. Maak hem opnieuw aan en voer “walhook resync --entity TYPE” uit, of haal hem uit de mapping (WALHOOK_CONFIG) en herstart walhook.',
  'capture.table_gap':
    'Van afzonderlijke tabellen zijn wijzigingen verloren gegaan; walhook leest de rest. Voer voor elk genoemd type entiteit “walhook resync --entity TYPE” uit; walhook draait intussen door.',
}

/** The same for pages of a backfill or resync. */
export const pageCodesNl: Record<PageCode, string> = {
  'page.receiver_waits':
    'Een webhook waarvoor de rijen zijn, kan er nu geen meer ontvangen. Activeer hem, geef hem de trigger, of laat hem de wachtrij verwerken. Daarna gaat de backfill vanzelf verder.',
  'page.receiver_gone':
    'De webhook waarvoor de rijen waren, is verwijderd. Start een backfill voor een andere webhook, als die de rijen nodig heeft.',
  'page.entity_gone':
    'De mapping heeft de entiteit niet meer, of de tabel is verwijderd. Zet de entiteit terug in de mapping (WALHOOK_CONFIG) en herstart walhook, of maak de tabel opnieuw aan; start daarna opnieuw.',
  'page.source_problem':
    'walhook kan de tabellen zo niet lezen. Doe wat de tekst hieronder zegt. Daarna gaat walhook vanzelf verder.',
  'page.unavailable':
    'Een database antwoordt niet, weigert de verbinding of verbreekt die. Controleer of beide databases draaien, bereikbaar zijn en de rol en haar wachtwoord accepteren: walhook check. Daarna gaat walhook vanzelf verder.',
  'page.timed_out':
    'Een pagina lezen of opslaan duurt langer dan een lock of time-out toelaat. Beëindig de sessie die een lock op de tabel heeft (walhook check noemt die), of maak een index op de sleutel. Daarna gaat walhook vanzelf verder.',
  'page.failed':
    'Dezelfde pagina mislukt steeds. Doe wat de tekst hieronder zegt. Een resync gaat dan vanzelf verder; start een backfill opnieuw: walhook backfill.',
}

/** Why changes were lost, by the reason of a gap. */
export const gapReasonsNl: ReadonlyMap<string, string> = new Map([
  ['other cluster', 'DATABASE_URL verwijst naar een ander cluster dan voorheen.'],
  ['other database', 'DATABASE_URL verwijst naar een andere database dan voorheen.'],
  [
    'other history',
    'De brondatabase is teruggezet naar een eerder moment, of verloor wat al was geschreven.',
  ],
  ['slot missing', 'Het replicatieslot is verwijderd, of is bij een failover verloren gegaan.'],
  [
    'slot invalidated',
    'PostgreSQL heeft WAL verwijderd die walhook nog moest lezen (max_slot_wal_keep_size).',
  ],
  ['slot moved', 'Het replicatieslot staat verder dan walhook heeft bevestigd.'],
  ['slot older than publication', 'Het replicatieslot is ouder dan de publicatie.'],
  ['publication missing', 'De publicatie is verwijderd.'],
  ['publication remade', 'De publicatie is verwijderd en opnieuw aangemaakt.'],
  ['publication changed', 'De publicatie is gewijzigd.'],
  ['table dropped', 'De tabel is verwijderd.'],
  ['table replaced', 'Een andere tabel heeft nu de naam van deze tabel.'],
  ['table unmapped', 'De tabel stond een tijd niet in de mapping.'],
  ['table unpublished', 'De tabel stond een tijd niet in de publicatie.'],
  ['table unlogged', 'De tabel was unlogged: haar wijzigingen staan dan niet in de WAL.'],
  ['partition detached', 'Partities zijn losgekoppeld en weer aangekoppeld.'],
  ['other slot', 'De outbox gaat verder met een ander replicatieslot dan voorheen.'],
  ['given up', 'Een resync is afgedwongen: wijzigingen die toen nog niet waren opgeslagen, zijn verloren.'],
  ['rows unreadable', 'walhook kon rijen van de tabel niet lezen.'],
  ['cell set back', 'Een cel is teruggezet naar een eerder moment.'],
  ['partition rewritten', 'Partities zijn geleegd of herschreven.'],
])

/** The objects of the mapping that the source has dropped. */
export const lostNl: LostTexts = {
  table: ({ entity, table }) => `Entiteit ${entity}: tabel ${table} is verwijderd.`,
  'related.table': ({ entity, field, table }) =>
    `Entiteit ${entity}, veld ${field}: tabel ${table} is verwijderd.`,
  'related.column': ({ entity, field, column, table }) =>
    `Entiteit ${entity}, veld ${field}: kolom ${column} van ${table} is verwijderd.`,
  'related.item': ({ entity, field, columns }) =>
    `Entiteit ${entity}, veld ${field}: ${columns} is verwijderd en wordt weggelaten.`,
}

/** Why a mapping file was refused, by the code of each problem. The English problem has the details. */
export const refusalsNl: Partial<Record<ProblemCode, string>> = {
  variable: 'Het bestand waar de variabele naar verwijst, kan niet worden gelezen.',
  mapping_file: 'Het mappingbestand kan niet worden gelezen, of is fout op de genoemde plaats.',
  no_connection: 'De brondatabase antwoordt niet of weigert de verbinding.',
  locked: 'Een andere sessie houdt een lock vast waar walhook te lang op wachtte.',
  setting_refused: 'De rol of een pooler laat een instelling van de sessie niet toe.',
  table_missing: 'De tabel bestaat niet.',
  table_moved: 'De tabel heeft nu een andere naam of een ander schema.',
  table_kind: 'Dit is geen tabel.',
  table_unreadable: 'De rol van walhook mag de tabel niet lezen.',
  row_security: 'Row level security geldt voor de rol van walhook.',
  no_identity: 'De tabel heeft geen replica identity.',
  virtual_in_identity: 'De replica identity bevat een virtuele gegenereerde kolom.',
  unlogged: 'De tabel of partitie is unlogged: haar wijzigingen staan niet in de WAL.',
  future_partitions: 'Een partitie die later komt, kan UPDATE en DELETE laten mislukken.',
  column_missing: 'De mapping noemt een kolom die de tabel niet heeft.',
  condition: 'Een voorwaarde past niet bij het type van haar kolom.',
  field_twice: 'Twee kolommen of lijsten hebben hetzelfde veld.',
  format: 'Een formaat past niet bij het type van zijn kolom.',
  label: 'Het label noemt een veld dat de entiteit niet heeft.',
  not_in_identity: 'De sleutel van de entiteit staat niet in de replica identity van de tabel.',
  relation: 'Een gerelateerde lijst vindt haar eigenaar niet met deze sleutel.',
  publication_missing: 'De publicatie bestaat niet, en walhook kan haar niet aanmaken.',
  publication_gone: 'De publicatie is verwijderd.',
  publication_table_missing: 'De tabel staat niet in de publicatie.',
  publication_all_tables: 'De publicatie bevat alle tabellen, ook die van walhook.',
  publication_schema: 'De publicatie bevat hele schema’s: een latere tabel kan statements laten mislukken.',
  publication_filter: 'De publicatie heeft een rijfilter of kolomlijst.',
  publication_kinds: 'De publicatie laat inserts, updates, deletes of truncates weg.',
  publication_via_root: 'De publicatie noemt partities in plaats van hun tabel.',
  publication_generated: 'De publicatie laat gegenereerde kolommen van een replica identity weg.',
  publication_harms: 'De publicatie laat UPDATE of DELETE van de applicatie zelf mislukken.',
}
