{{- define "oct.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "oct.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* (dict "root" $ "of" .Values.router): where a component's pods may run. */}}
{{- define "oct.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* (dict "labels" $labels "of" .Values.router): over nodes and zones, as far as there are any, unless told otherwise. */}}
{{- define "oct.spread" -}}
{{- $labels := .labels }}
{{- if .of.topologySpreadConstraints }}
{{- toYaml .of.topologySpreadConstraints }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "oct.selector" $labels | nindent 6 }}
  # Old replicas of a rollout do not count.
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* What operator and router are told alike. */}}
{{- define "oct.environment" -}}
- {name: OPENCLAW_TENANCY_NAMESPACES, value: {{ join "," .Values.tenants.namespaces | quote }}}
- {name: OPENCLAW_TENANCY_MASTER_KEY_FILE, value: /etc/openclaw-tenancy/master-key}
- {name: OPENCLAW_TENANCY_LOG_LEVEL, value: {{ .Values.logLevel }}}
{{- end }}

{{- define "oct.identityVolume" -}}
- name: identity
  secret:
    secretName: {{ include "oct.identitySecret" . }}
    items: [{key: master-key, path: master-key}]
{{- end }}

{{/* Hop by hop through DNAT, so ports and not addresses: an API server has no label that a policy could select. */}}
{{- define "oct.egressToApi" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.networkPolicy.dnsNamespace }}}}
    {{- range .Values.networkPolicy.dnsAddresses }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
