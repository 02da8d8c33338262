{{/* What the chart calls itself. */}}
{{- define "kro.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What every object is named after. */}}
{{- define "kro.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kro.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "kro.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What tells the pods of this release from all others; it must never change. */}}
{{- define "kro.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kro.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "kro.ownLabels" -}}
{{ include "kro.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/component: controller
app.kubernetes.io/part-of: kro
{{- if .Values.metadata.includeHelmChart }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}
{{- if .Values.metadata.includeManagedBy }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}
{{- end -}}

{{/*
The labels of an object: those of the values, those given, the chart's own. Takes a list of the
context and a map of labels. A key that stands in several is rendered once; the chart's own wins,
then the one given.
*/}}
{{- define "kro.labelsWith" -}}
{{- $context := first . -}}
{{- $own := include "kro.ownLabels" $context | fromYaml -}}
{{- mustMergeOverwrite (dict) ($context.Values.additionalLabels | default dict) (last . | default dict) $own | toYaml -}}
{{- end -}}

{{- define "kro.labels" -}}
{{- include "kro.labelsWith" (list . (dict)) -}}
{{- end -}}
