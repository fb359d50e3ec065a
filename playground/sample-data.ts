/** The initial data of the sample application, and the words of new visitors and companies. */

type Visitor = {
  readonly id: number
  readonly name_first: string
  readonly name_infix: string | null
  readonly name_last: string
  readonly gender: string
  readonly company_role: string
  /** The id of the visitor's company. */
  readonly company: number
  readonly checkin?: string
}

export const companies = [
  { id: 1, name: 'Northwind Catering', city: 'Groningen', country: 'NL', stand: 'A1' },
  { id: 2, name: 'Brightside Audio', city: 'Antwerp', country: 'BE', stand: 'A2' },
  { id: 3, name: 'Lantern Stages', city: 'Hamburg', country: 'DE', stand: null },
  { id: 4, name: 'Paper Plane Tickets', city: 'Utrecht', country: 'NL', stand: 'B4' },
  { id: 5, name: "Let's Get Digital", city: 'Groningen', country: 'NL', stand: 'C5' },
  { id: 6, name: 'Harbour Lights', city: 'Rotterdam', country: 'NL', stand: null },
]

const visitors: readonly Visitor[] = [
  {
    id: 2,
    name_first: 'Sanne',
    name_infix: 'de',
    name_last: 'Vries',
    gender: 'woman',
    company_role: 'Producer',
    company: 4,
    checkin: '2019-11-05 08:02:41',
  },
  {
    id: 3,
    name_first: 'Jonas',
    name_infix: null,
    name_last: 'Keller',
    gender: 'man',
    company_role: 'Engineer',
    company: 3,
  },
  {
    id: 4,
    name_first: 'Amira',
    name_infix: 'el',
    name_last: 'Haddad',
    gender: 'woman',
    company_role: 'Speaker',
    company: 5,
  },
  {
    id: 5,
    name_first: 'Zoë',
    name_infix: null,
    name_last: 'Peeters',
    gender: 'woman',
    company_role: 'Buyer',
    company: 2,
  },
  {
    id: 6,
    name_first: 'Tom',
    name_infix: 'van der',
    name_last: 'Meer',
    gender: 'man',
    company_role: 'Chef',
    company: 1,
  },
  {
    id: 7,
    name_first: 'Robin',
    name_infix: null,
    name_last: "O'Neill",
    gender: 'other',
    company_role: 'Designer',
    company: 6,
  },
]

/** The rows of `users`, the first one being the documentation's example. */
export const users = [
  {
    id: 1,
    external_id: '1815',
    code: 'CODE',
    external_qr_identifier: 'thebarcode',
    checkin: '2019-11-05 07:56:15',
    name_first: 'Guan',
    name_infix: null,
    name_last: 'the Man',
    gender: 'man',
    company_name: "Let's Get Digital",
    company_role: 'Awesome person',
    normal_qr_code: 'thebarcode',
    secure_qr_code: 'https://evins.nl/1/bd0494941c/tyiuW2S1OUv5c3ASL1qv%2E',
    aanmelder_survey_id: '93627',
    qr_link: 'v2d5iy6g0m60tc',
    password_hash: 'sample-hash-1',
  },
  ...visitors.map(({ company, ...visitor }) => ({
    ...visitor,
    external_id: String(1815 + visitor.id),
    code: `CODE${visitor.id}`,
    external_qr_identifier: `barcode${visitor.id}`,
    company_name: companies.find(({ id }) => id === company)!.name,
    normal_qr_code: `barcode${visitor.id}`,
    secure_qr_code: `https://tickets.example/1/barcode${visitor.id}`,
    aanmelder_survey_id: '93627',
    qr_link: `sample-link-${visitor.id}`,
    password_hash: `sample-hash-${visitor.id}`,
  })),
]

export const memberships = [
  { user_id: 1, company_id: 5 },
  ...visitors.map(({ id, company }) => ({ user_id: id, company_id: company })),
]

export const customFields = [
  { user_id: 2, name: 'Diet', value: 'vegetarian' },
  { user_id: 4, name: 'Language', value: 'French' },
  { user_id: 4, name: 'Shirt size', value: 'M' },
]

export const firstNames: readonly { readonly name: string; readonly gender: string }[] = [
  ...['Bram', 'Daan', 'Emre', 'Finn', 'Luca', 'Mats', 'Omar', 'Pieter', 'Ravi', 'Sven'].map(name => ({
    name,
    gender: 'man',
  })),
  ...['Anouk', 'Chidi', 'Elif', 'Fleur', 'Ingrid', 'Lotte', 'Maud', 'Noor', 'Priya', 'Yara'].map(name => ({
    name,
    gender: 'woman',
  })),
  ...['Alex', 'Charlie', 'Kim', 'Sam'].map(name => ({ name, gender: 'other' })),
]

export const lastNames: readonly { readonly infix: string | null; readonly last: string }[] = [
  ...[
    'Bakker',
    'Dubois',
    'Fischer',
    'Janssen',
    'Kowalska',
    'Mulder',
    'Okafor',
    'Øster',
    'Visser',
    'Yılmaz',
  ].map(last => ({ infix: null, last })),
  { infix: 'van', last: 'Dijk' },
  { infix: 'de', last: 'Boer' },
  { infix: 'van den', last: 'Berg' },
  { infix: "in 't", last: 'Veld' },
]

export const roles = [
  'Analyst',
  'Awesome person',
  'Buyer',
  'Coordinator',
  'Designer',
  'Engineer',
  'Host',
  'Producer',
  'Speaker',
  'Volunteer',
]

export const customFieldChoices: readonly { readonly name: string; readonly values: readonly string[] }[] = [
  { name: 'Diet', values: ['everything', 'vegetarian', 'vegan', 'no nuts'] },
  { name: 'Language', values: ['Dutch', 'English', 'French', 'German'] },
  { name: 'Shirt size', values: ['S', 'M', 'L', 'XL'] },
  { name: 'Arrives by', values: ['bicycle', 'train', 'car', 'on foot'] },
]

export const companyFirstWords = [
  'Amber',
  'Blue',
  'Copper',
  'Evergreen',
  'Golden',
  'Paper',
  'Quiet',
  'Silver',
]
export const companySecondWords = [
  'Anchor',
  'Fox',
  'Garden',
  'Kite',
  'Lighthouse',
  'Orchard',
  'Piano',
  'Studio',
]

/** The suffixes of a renamed company; empty for its plain name. */
export const companySuffixes = ['', ' Group', ' International', ' & Friends']

export const cities: readonly { readonly city: string; readonly country: string }[] = [
  { city: 'Amsterdam', country: 'NL' },
  { city: 'Groningen', country: 'NL' },
  { city: 'Ghent', country: 'BE' },
  { city: 'Bremen', country: 'DE' },
  { city: 'Aarhus', country: 'DK' },
]
