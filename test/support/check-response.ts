import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { openApiDocument } from '../../src/api/kit/document.ts'
import { routes } from '../../src/api/routes.ts'
import { namedAlertSchemas } from '../../src/domain/alert/alert-schema.ts'

export const document = openApiDocument(routes, '0.0.0', namedAlertSchemas)

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addSchema({ $id: 'walhook', ...(strictly(document) as object) })

/** The document as the tests take it: an answer holds no field that it does not name. */
function strictly(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strictly)
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, strictly(inner)]))
  if (copy.type === 'object' && copy.properties && copy.additionalProperties === undefined)
    copy.additionalProperties = false
  return copy
}

const compiled = new Map<string, ValidateFunction>()
function validator(pointer: string): ValidateFunction {
  let validate = compiled.get(pointer)
  if (!validate) {
    validate = ajv.compile({ $ref: `walhook#${pointer}` })
    compiled.set(pointer, validate)
  }
  return validate
}

const escaped = (name: string) =>
  name.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')

/** The path of the document that a URL's path is an instance of. */
function templateOf(path: string): string | undefined {
  return Object.keys(document.paths).find(template =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
  )
}

/**
 * Throws where an answer of `/api` is not what the document says: a status that the call does not have, another
 * content type, a body that does not fit its schema, a field that is not described.
 *
 * @param url path and query of the call
 */
export async function checkResponse(method: string, url: string, response: Response): Promise<void> {
  const { pathname: path } = new URL(`http://walhook${url}`)
  if (!path.startsWith('/api/') || ['/api/docs', '/api/openapi.json'].includes(path)) return
  const fail = (message: string): never => {
    throw new Error(`${method} ${url} is not answered as the document says: ${response.status} ${message}`)
  }
  const text = method === 'HEAD' ? '' : await response.clone().text()
  const template = templateOf(path)
  const verb = method.toLowerCase() === 'head' ? 'get' : method.toLowerCase()
  const operation = template === undefined ? undefined : document.paths[template]?.[verb]
  const type = response.headers.get('content-type')?.split(';')[0] ?? null
  if (response.headers.get('cache-control') !== 'no-store') fail('may be kept by a cache')
  if (method === 'HEAD' || (method === 'OPTIONS' && response.status === 204)) return

  const described = operation?.responses[response.status]
  if (operation && !described && response.status !== 401) fail('is not among the statuses')
  for (const name of Object.keys(described?.headers ?? {}))
    if (!response.headers.has(name)) fail(`has no ${name}`)
  if (response.status === 204) {
    if (text !== '') fail('has a body')
    return
  }
  const isProblem = response.status >= 400
  const expected = isProblem ? 'application/problem+json' : 'application/json'
  if (type !== expected) fail(`is ${type}, not ${expected}`)
  const schema = isProblem
    ? '/components/schemas/Problem'
    : `/paths/${escaped(template!)}/${verb}/responses/${response.status}/content/application~1json/schema`
  const validate = validator(schema)
  if (!validate(JSON.parse(text))) fail(`${ajv.errorsText(validate.errors)} in ${text.slice(0, 500)}`)
}
