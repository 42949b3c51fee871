{{- define "oct.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* At most 40 characters, so that every name made from it stays a DNS label. */}}
{{- define "oct.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "oct.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "oct.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* (dict "root" $ "component" "router"): what selects the pods of a component. */}}
{{- define "oct.selector" -}}
app.kubernetes.io/name: {{ include "oct.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "oct.labels" -}}
{{ include "oct.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: openclaw-tenancy
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (dict "root" $ "image" "router") */}}
{{- define "oct.image" -}}
{{- $images := .root.Values.images -}}
{{- printf "%s%s:%s" $images.prefix (get $images .image) (default .root.Chart.AppVersion $images.tag) -}}
{{- end }}

{{- define "oct.identitySecret" -}}
{{- default "openclaw-tenancy-identity" .Values.identity.existingSecret -}}
{{- end }}
