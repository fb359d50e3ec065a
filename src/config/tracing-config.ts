import { ratioOf, samplers, tracesUrl } from '../domain/shown/trace.ts'

/** `ratio`: the share of sampled traces, 0 to 1. */
export type TracingConfig = { readonly url: string; readonly ratio: number }

/**
 * The standard variables of tracing, checked only if they turn it on: other programs use them too. The library reads the rest.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export function readTracing(
  env: Readonly<Record<string, string | undefined>>,
  add: (what: string, found: string, mend: string) => void,
): TracingConfig | null {
  const read = (name: string) => env[name]?.trim() || null
  const own = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const endpoint = own ?? read('OTEL_EXPORTER_OTLP_ENDPOINT')
  if (endpoint === null || read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null
  if ((read('OTEL_TRACES_EXPORTER') ?? 'otlp') === 'none') return null

  const endpointName = own ? 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' : 'OTEL_EXPORTER_OTLP_ENDPOINT'
  const url = tracesUrl(endpoint, own !== null)
  if (url === null)
    add(endpointName, 'not an http or https URL', 'write where the collector listens: http://localhost:4318')
  const protocolName = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'].find(read)
  if (protocolName && read(protocolName) === 'grpc')
    add(
      protocolName,
      '"grpc", but walhook sends over HTTP',
      `write http/json, and the port for HTTP (usually 4318) into ${endpointName}`,
    )
  const sampler = read('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on'
  if (!samplers.includes(sampler)) {
    add('OTEL_TRACES_SAMPLER', JSON.stringify(sampler), `use one of ${samplers.join(', ')}`)
    return null
  }
  const argument = read('OTEL_TRACES_SAMPLER_ARG') ?? '1'
  const ratio = ratioOf(sampler, argument)
  if (ratio === null)
    add('OTEL_TRACES_SAMPLER_ARG', JSON.stringify(argument), 'write the share of traces, from 0 to 1: 0.1')
  return url === null || ratio === null ? null : { url, ratio }
}
