import { optional } from './variable.ts'

/** A variable of OpenTelemetry, shared with other programs: `tracing-config.ts` checks it if tracing is on. */
const standard = (means: string, without: string) =>
  optional<string>({ means, without, mend: 'see the guide to tracing', parse: text => ({ value: text }) })

export const tracingVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: standard(
    'The OpenTelemetry collector that gets the [traces](../guide/tracing.md) of events, by OTLP over HTTP: `http://localhost:4318`.',
    'nothing is traced',
  ),
  OTEL_EXPORTER_OTLP_HEADERS: standard(
    'Headers for the collector: `authorization=Bearer%20…`, several separated by commas.',
    'no headers',
  ),
  OTEL_TRACES_SAMPLER: standard(
    'Which events are traced: `always_on`, `always_off`, or `traceidratio` with the share in `OTEL_TRACES_SAMPLER_ARG`. Set it alike in all processes.',
    'every event is traced',
  ),
  OTEL_TRACES_SAMPLER_ARG: standard('The share of events that `traceidratio` traces, from 0 to 1.', '1'),
}
