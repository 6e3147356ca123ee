{{- define "stepdown.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "stepdown.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "stepdown.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stepdown.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The ValidatingWebhookConfiguration is of the whole cluster: two installations must not share one. */}}
{{- define "stepdown.webhookConfiguration" -}}
{{ include "stepdown.fullname" . }}-{{ .Release.Namespace }}
{{- end -}}

{{- define "stepdown.selector" -}}
app.kubernetes.io/name: {{ include "stepdown.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "stepdown.ownLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: stepdown
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* [root context, labels of one object]: each label once, as some tools refuse a key that is there twice; a selector's stay. */}}
{{- define "stepdown.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $own := include "stepdown.ownLabels" $root | fromYaml -}}
{{- $selector := include "stepdown.selector" $root | fromYaml -}}
{{- toYaml (mergeOverwrite (dict) $own $root.Values.commonLabels (index . 1) $selector) -}}
{{- end -}}

{{- define "stepdown.labels" -}}
{{- include "stepdown.labelsWith" (list . dict) -}}
{{- end -}}

{{/* Labels and annotations that every object has: [root context, labels of this one]. */}}
{{- define "stepdown.metadataWith" -}}
labels:
  {{- include "stepdown.labelsWith" . | nindent 2 }}
{{- with (index . 0).Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "stepdown.metadata" -}}
{{- include "stepdown.metadataWith" (list . dict) -}}
{{- end -}}

{{/* image: [root context, its name under .Values.images] */}}
{{- define "stepdown.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- $name := printf "%s/%s" $root.Values.images.registry $image.repository | trimPrefix "/" -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}
