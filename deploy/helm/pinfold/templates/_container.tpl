{{- define "pinfold.container" -}}
image: {{ include "pinfold.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  - name: HOST_IP
    valueFrom:
      fieldRef:
        fieldPath: status.hostIP
  {{- if .Values.metrics.port }}
  - name: PINFOLD_REPORT_METRICS_LISTEN
    value: $(HOST_IP):{{ .Values.metrics.port }}
  {{- end }}
  {{- with .Values.extraEnv }}{{ toYaml . | nindent 2 }}{{ end }}
securityContext:
  {{- if .Values.privileged }}
  privileged: true
  {{- else }}
  privileged: false
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
  {{- end }}
  readOnlyRootFilesystem: true
  runAsUser: 0
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/pinfold
    readOnly: true
  - name: state
    mountPath: /var/lib/pinfold
  - name: cgroup
    mountPath: /sys/fs/cgroup
  - name: kubelet
    mountPath: {{ .Values.kubeletRootDir }}
    readOnly: true
    mountPropagation: HostToContainer
  - name: bundles
    mountPath: {{ include "pinfold.bundles" . }}
    readOnly: true
    mountPropagation: HostToContainer
  - name: dbus
    mountPath: /run/dbus
    readOnly: true
    mountPropagation: HostToContainer
  {{- if .Values.metrics.tlsSecret }}
  - name: tls
    mountPath: /etc/pinfold-tls
    readOnly: true
  {{- end }}
{{- end }}
