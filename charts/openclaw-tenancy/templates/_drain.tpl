{{/* "1m30s" in whole seconds, rounded up; the values' schema has made sure that it is a duration as the router reads it. */}}
{{- define "oct.seconds" -}}
{{- $parts := splitList "," (regexReplaceAll "^(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?$" . "${1},${2},${3},${4}") -}}
{{- add (mul (index $parts 0 | int64) 3600) (mul (index $parts 1 | int64) 60) (index $parts 2 | int64) (div (add (index $parts 3 | int64) 999) 1000) -}}
{{- end }}

{{/* Seconds from deletion until SIGKILL that a router needs: the 15 are for closing what is left, and a node that is busy. */}}
{{- define "oct.routerGrace" -}}
{{- add (.Values.router.preStopSeconds | int64) (include "oct.seconds" .Values.router.drainTimeout | int64) 15 -}}
{{- end }}
