{{- define "walhook.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "walhook.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "walhook.name" .) .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "walhook.name" .) | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "walhook.selector" -}}
app.kubernetes.io/name: {{ include "walhook.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "walhook.labels" -}}
{{ include "walhook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "walhook.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "walhook.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Pages and API. Not the probes, and not /metrics: those are for the cluster. */}}
{{- define "walhook.paths" -}}
/ /api /assets /audit /catalogue /couplings /enter /events /health /language /login /logout /logout-everywhere /tokens
{{- end }}

{{/* The name under which walhook is reached from outside the cluster; empty: none. */}}
{{- define "walhook.host" -}}
{{- if (.Values.httpRoute).enabled }}{{ .Values.httpRoute.host }}{{ else if .Values.ingress.enabled }}{{ .Values.ingress.host }}{{ end -}}
{{- end }}

{{/* Where walhook is reached behind an Ingress or a Gateway: its host first, then the names of the Service, and a forwarded port. */}}
{{- define "walhook.urls" -}}
{{- $name := include "walhook.fullname" . -}}
https://{{ include "walhook.host" . }}
{{- range $host := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) -}}
,http://{{ $host }}:{{ $.Values.service.port }}
{{- end -}}
,http://127.0.0.1:8080,http://localhost:8080
{{- end }}

{{/* The environment of every container of a pod: secrets by reference, the rest as it is. */}}
{{- define "walhook.env" }}
{{- $secret := .Values.existingSecret }}
{{- $extra := dict }}
{{- range .Values.extraEnv }}{{ $_ := set $extra .name true }}{{ end }}
{{- range $name := list "DATABASE_URL" "WALHOOK_SECRET_KEY" }}
{{- if not (hasKey $extra $name) }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ $name }} } }
{{- end }}
{{- end }}
{{- range $name := list "OUTBOX_DATABASE_URL" "WALHOOK_SECRET_KEY_OLD" "WALHOOK_ADMIN_TOKEN" "WALHOOK_PROXY" "WALHOOK_SMTP_URL" "WALHOOK_OIDC_CLIENT_SECRET" "OTEL_EXPORTER_OTLP_HEADERS" }}
{{- if not (hasKey $extra $name) }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ $name }}, optional: true } }
{{- end }}
{{- end }}
{{- if .Values.mapping }}
- name: WALHOOK_CONFIG
  value: /etc/walhook/walhook.yaml
{{- end }}
{{- if and (include "walhook.host" .) (not (or .Values.config.WALHOOK_URL (hasKey $extra "WALHOOK_URL"))) }}
- name: WALHOOK_URL
  value: {{ include "walhook.urls" . | quote }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{- if not (hasKey $extra $name) }}
- name: {{ $name }}
  {{- /* toString would write 12345678 as 1.2345678e+07. */}}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "walhook.mounts" -}}
{{- if or .Values.mapping .Values.volumeMounts }}
volumeMounts:
  {{- if .Values.mapping }}
  - { name: mapping, mountPath: /etc/walhook, readOnly: true }
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A Deployment. Takes a dict: root, name, component, replicas, roles. */}}
{{- define "walhook.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "walhook.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ .replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "walhook.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- include "walhook.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        {{- with $root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: walhook
        {{- with $root.Values.mapping }}
        # Of this pod alone: a later mapping starts new pods, and does not reach these, whenever they restart.
        walhook/mapping: {{ toJson . }}
        {{- end }}
        {{- with $root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "walhook.fullname" $root }}
      automountServiceAccountToken: false
      # Otherwise each Service of the namespace adds variables, those of Services named walhook-… among walhook's own.
      enableServiceLinks: false
      # 5 s until no Service routes here, and at most 15 s for requests in flight.
      terminationGracePeriodSeconds: 30
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.podSecurityContext | nindent 8 }}
      {{- if or $root.Values.extraInitContainers $root.Values.migration.enabled }}
      initContainers:
        {{- with $root.Values.extraInitContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if $root.Values.migration.enabled }}
        - name: migrate
          image: {{ include "walhook.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [migrate]
          env:
            {{- include "walhook.env" $root | trim | nindent 12 }}
          {{- with include "walhook.mounts" $root | trim }}
          {{- . | nindent 10 }}
          {{- end }}
          securityContext:
            {{- include "walhook.securityContext" $root | nindent 12 }}
          resources:
            {{- toYaml $root.Values.resources | nindent 12 }}
        {{- end }}
      {{- end }}
      containers:
        - name: walhook
          image: {{ include "walhook.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve]
          env:
            - { name: PORT, value: "8080" }
            - { name: WALHOOK_ROLES, value: {{ .roles | quote }} }
            {{- include "walhook.env" $root | trim | nindent 12 }}
          ports:
            - { name: http, containerPort: 8080 }
          # Until every part has worked once: an upgrade with a wrong mapping stops here, and the former pods continue. A gap
          # lasts until a resync, and stops no upgrade.
          startupProbe:
            httpGet: { path: "/readyz?exclude=capture:gap&exclude=capture:lost", port: http }
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 1800
          # A Service routes to pods that can respond. One whose capture is blocked later still can: its pages say why.
          readinessProbe:
            httpGet: { path: "/readyz?exclude=capture&exclude=delivery", port: http }
            periodSeconds: 5
            timeoutSeconds: 5
          # A restart repairs neither a database nor a slot: only an unresponsive process is restarted.
          livenessProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            preStop: { exec: { command: [sleep, "5"] } }
          {{- with include "walhook.mounts" $root | trim }}
          {{- . | nindent 10 }}
          {{- end }}
          securityContext:
            {{- include "walhook.securityContext" $root | nindent 12 }}
          resources:
            {{- toYaml $root.Values.resources | nindent 12 }}
      {{- if or $root.Values.mapping $root.Values.volumes }}
      volumes:
        {{- if $root.Values.mapping }}
        - name: mapping
          downwardAPI:
            items: [{ path: walhook.yaml, fieldRef: { fieldPath: "metadata.annotations['walhook/mapping']" } }]
        {{- end }}
        {{- with $root.Values.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $root.Values.affinity }}
      affinity:
        {{- toYaml $root.Values.affinity | nindent 8 }}
      {{- else }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          # Of one version: otherwise new pods avoid the nodes of old ones, and stay side by side once those have ended.
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels:
              {{- include "walhook.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.component }}
        {{- end }}
      {{- end }}
{{- end }}

{{/* A Service of the pods of a component. Takes a dict: root, name, component, type, port. */}}
{{- define "walhook.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "walhook.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .type }}
  ports:
    - { name: http, port: {{ .port }}, targetPort: http }
  selector:
    {{- include "walhook.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Takes a dict: root, name, component. */}}
{{- define "walhook.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "walhook.labels" .root | nindent 4 }}
spec:
  maxUnavailable: {{ .root.Values.podDisruptionBudget.maxUnavailable }}
  # Pods that answer nobody, as while the database is away, do not stop the drain of a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "walhook.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end }}
