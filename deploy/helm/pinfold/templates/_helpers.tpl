{{- define "pinfold.labels" -}}
app.kubernetes.io/name: pinfold
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "pinfold.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "pinfold.config" -}}
{{- $config := .Files.Get "files/config.yaml" | fromYaml -}}
{{- if not .Values.privileged }}{{ $_ := set $config "exclusivity" "shrink" }}{{ end -}}
{{- $report := dict "metricsAuthentication" .Values.metrics.authentication -}}
{{- if .Values.metrics.tlsSecret }}
{{- $_ := set $report "tlsCertFile" "/etc/pinfold-tls/tls.crt" }}
{{- $_ := set $report "tlsPrivateKeyFile" "/etc/pinfold-tls/tls.key" }}
{{- end }}
{{- $kubelet := dict "rootDir" .Values.kubeletRootDir -}}
{{- $mine := dict "report" $report "sources" (dict "kubelet" $kubelet) -}}
{{- mergeOverwrite $config $mine (deepCopy .Values.config) | toYaml }}
{{- end }}

{{- define "pinfold.bundles" -}}
{{- get (dict "containerd" "/run/containerd" "cri-o" "/run/containers" "k3s" "/run/k3s/containerd" "microk8s" "/var/snap/microk8s/common/run/containerd") .Values.runtime }}
{{- end }}
