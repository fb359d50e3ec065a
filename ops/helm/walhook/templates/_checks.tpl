{{/* What values.schema.json cannot say, or would say without a fix: the value, what is wrong, the fix. */}}
{{- define "walhook.checks" -}}
{{/* With --reuse-values, a value that is newer than the release is absent. */}}
{{- range $value := list "ingress" "httpRoute" }}
{{- $host := dig $value "host" "" $.Values.AsMap }}
{{- if not (regexMatch "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$" $host) }}
{{- fail (printf "%s.host: %q is no host name. Fix: write it in lower case, without https:// and without a port" $value $host) }}
{{- end }}
{{- end }}
{{- if hasKey .Values.config "OTEL_EXPORTER_OTLP_HEADERS" }}
{{- fail "config.OTEL_EXPORTER_OTLP_HEADERS: holds secrets. Fix: put it into the Secret of existingSecret" }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.extraEnv }}
{{- if hasKey $seen .name }}{{ fail (printf "extraEnv: %s is in the list twice. Fix: remove one" .name) }}{{ end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- range $name := keys (.Values.podLabels | default dict) }}
{{- if or (regexMatch "^app[.]kubernetes[.]io/(name|instance|component|version|managed-by)$" $name) (eq "helm.sh/chart" $name) }}
{{- fail (printf "podLabels: %s is a label of the chart. Fix: remove it; nameOverride and the name of the release change the labels" $name) }}
{{- end }}
{{- end }}
{{- range $name := keys (.Values.podAnnotations | default dict) }}
{{- if has $name (list "walhook/mapping" "kubectl.kubernetes.io/default-container") }}
{{- fail (printf "podAnnotations: %s is an annotation of the chart. Fix: remove it" $name) }}
{{- end }}
{{- end }}
{{- end }}
