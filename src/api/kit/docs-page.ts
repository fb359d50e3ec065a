import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { JsonSchema, OpenApiDocument, Operation } from './document.ts'

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
h2 { margin-top: 3rem; border-bottom: 1px solid }
h3 { margin: 2.5rem 0 0; font-size: 1rem; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
code { font-family: ui-monospace, monospace }
table { border-collapse: collapse; width: 100%; margin: .25rem 0 1rem }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8885; overflow-wrap: anywhere }
nav ul { columns: 18rem; list-style: none; padding: 0 }
`

/** The page has text and its own style only: no script, no frame, nothing external. */
export const docsPolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

type Html = ReturnType<typeof html>

export function docsPage(document: OpenApiDocument): Html {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const tags = document.tags.map(({ name }) => ({
    name,
    operations: operations.filter(({ operation }) => operation.tags.includes(name)),
  }))
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${document.info.title} API</title>
    <style>${raw(style)}</style>
  </head>
  <body>
    <main>
      <h1>${document.info.title} ${document.info.version}: API</h1>
      <p>${prose(document.info.description)} For programs: <a href="openapi.json">openapi.json</a>.</p>
      <nav aria-label="Calls">
        <ul>
          ${operations.map(({ method, path, operation }) => html`<li><a href="#${operation.operationId}"><code>${method} ${path}</code></a></li>`)}
        </ul>
      </nav>
      ${tags.map(
        tag => html`<section>
        <h2>${tag.name}</h2>
        ${tag.operations.map(({ method, path, operation }) => call(method, path, operation))}
      </section>`,
      )}
      <section>
        <h2>Schemas</h2>
        ${Object.entries(document.components.schemas).map(([name, schema]) => html`<h3 id="${name}">${name}</h3>${fieldsOf(schema)}`)}
      </section>
    </main>
  </body>
</html>`
}

function call(method: string, path: string, operation: Operation): Html {
  const { parameters, requestBody, responses } = operation
  return html`<article>
    <h3 id="${operation.operationId}">${method} ${path}</h3>
    <p>${operation.summary}. ${prose(operation.description)}</p>
    ${
      parameters.length === 0
        ? ''
        : html`<p>Parameters:</p>
    <table>${parameters.map(({ name, in: location, required, schema }) => row(name, schema, required, location))}</table>`
    }
    ${requestBody ? html`<p>Body${requestBody.required ? '' : ' (optional)'}: ${typeOf(Object.values(requestBody.content)[0]!.schema)}</p>` : ''}
    <p>Responses:</p>
    <table>${Object.entries(responses).map(([status, { description, content = {} }]) => html`<tr><th scope="row">${status}</th><td>${prose(description)}</td><td>${Object.values(content).map(({ schema }) => typeOf(schema))}</td></tr>`)}</table>
  </article>`
}

function fieldsOf(schema: JsonSchema): Html {
  const {
    description,
    properties = {},
    required = [],
  } = schema as {
    description?: string
    properties?: Record<string, JsonSchema>
    required?: string[]
  }
  return html`${description === undefined ? '' : html`<p>${prose(description)}</p>`}
    <table>${Object.entries(properties).map(([name, field]) => row(name, field, required.includes(name)))}</table>`
}

function row(name: string, schema: JsonSchema, isRequired: boolean, location = ''): Html {
  const facts = [
    location && `in ${location}`,
    isRequired ? '' : 'optional',
    schema.default === undefined ? '' : `default: ${JSON.stringify(schema.default)}`,
  ]
  return html`<tr><th scope="row"><code>${name}</code></th><td>${typeOf(schema)}</td>
    <td>${prose(String(schema.description ?? ''))} ${facts.filter(Boolean).join(', ')}</td></tr>`
}

/** A schema in a few words; named ones are links. */
function typeOf(schema: JsonSchema): Html | string {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').at(-1)!
    return html`<a href="#${name}">${name}</a>`
  }
  if ('const' in schema) return JSON.stringify(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map(value => JSON.stringify(value)).join(' or ')
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
  if (choices) return html`${choices.map((choice, i) => html`${i === 0 ? '' : ' or '}${typeOf(choice)}`)}`
  if (schema.type === 'array') return html`list of ${typeOf((schema.items ?? {}) as JsonSchema)}`
  const properties = schema.properties as Record<string, JsonSchema> | undefined
  if (properties)
    return html`object with ${Object.entries(properties).map(([name, field], i) => html`${i === 0 ? '' : ', '}<code>${name}</code>: ${typeOf(field)}`)}`
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type ?? 'anything')
  return schema.format === undefined ? type : `${type} (${schema.format})`
}

/** A text, with code between back-ticks. */
function prose(text: string): Html {
  return html`${text.split('`').map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part))}`
}
