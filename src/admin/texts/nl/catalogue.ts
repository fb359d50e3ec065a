import type { Texts } from '../en.ts'

export const catalogue: Pick<Texts, 'catalogue'> = {
  catalogue: {
    lead: 'Elke trigger met de velden, hun typen en een voorbeeld, voor wie een ontvanger bouwt. De beschrijvingen in een JSON Schema zijn in het Engels.',
    columns: { trigger: 'Trigger', when: 'Wat er gebeurd is', fields: 'Velden', schema: 'Schema' },
    when: {
      new: 'Een entiteit is aangemaakt, of wordt voor het eerst verstuurd',
      update: 'Een entiteit is gewijzigd',
      delete: 'Een entiteit is verwijderd',
    },
    download: 'Downloaden',
    downloadOf: trigger => `Het JSON Schema van ${trigger} downloaden`,
    downloadSchema: 'JSON Schema downloaden',
    fields: 'Velden van result',
    fieldsOfDelete: 'Velden van last',
    noFields: 'Een verzoek van deze trigger bevat alleen entity_id, entity_type en action_type.',
    mayBeAbsent:
      'Elk veld kan ontbreken: walhook laat een waarde weg die het niet meer kan lezen. Datums en getallen die niet in JSON passen, zoals oneindig, worden als tekst verstuurd.',
    field: 'Veld',
    type: 'Type',
    types: {
      boolean: 'ja of nee',
      integer: 'geheel getal',
      number: 'getal',
      string: 'tekst',
      'date-time': 'datum en tijd',
      date: 'datum',
      uuid: 'UUID',
      base64: 'bytes, als Base64',
      enum: 'een van',
      object: 'object',
      any: 'elke JSON',
    },
    always: 'altijd',
    listOf: type => `lijst: ${type}`,
    orNull: type => `${type}, of null`,
    example: 'Voorbeeld',
    exampleHint: 'Gemaakt op basis van de typen. Er staan geen gegevens van jou in.',
    ofTrigger: trigger => `Velden en typen van ${trigger}`,
    fromForm: 'Alle velden en hun typen staan in de',
    downloadOfWebhook: 'Het JSON Schema van alle verzoeken van deze webhook downloaden',
  },
}
