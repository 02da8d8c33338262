{{/*
Settings that reach the controller through its environment: the flag without its dashes, the
variable without `KRO_`, and the value as text. Numbers are printed as integers, for a large one
read from YAML would come out as 1e+06.
*/}}
{{- define "kro.settings" -}}
{{- with .Values.config -}}
- [metrics-bind-address, METRICS_BIND_ADDRESS, {{ .metricsBindAddress | quote }}]
- [health-probe-bind-address, HEALTH_PROBE_BIND_ADDRESS, {{ .healthProbeBindAddress | quote }}]
- [resource-graph-definition-concurrent-reconciles, RESOURCE_GROUP_CONCURRENT_RECONCILES, {{ .resourceGraphDefinitionConcurrentReconciles | int64 | quote }}]
- [graph-revision-concurrent-reconciles, GRAPH_REVISION_CONCURRENT_RECONCILES, {{ .graphRevisionConcurrentReconciles | int64 | quote }}]
- [dynamic-controller-concurrent-reconciles, DYNAMIC_CONTROLLER_CONCURRENT_RECONCILES, {{ .dynamicControllerConcurrentReconciles | int64 | quote }}]
- [zap-log-level, LOG_LEVEL, {{ .logLevel | quote }}]
- [zap-encoder, LOG_ENCODER, {{ .logEncoder | quote }}]
- [zap-devel, LOG_DEVELOPMENT, {{ .development | quote }}]
- [graceful-shutdown-timeout, GRACEFUL_SHUTDOWN_TIMEOUT, {{ .gracefulShutdownTimeout | quote }}]
- [instance-requeue-interval, INSTANCE_REQUEUE_INTERVAL, {{ .instance.requeueInterval | quote }}]
- [dynamic-controller-default-resync-period, DYNAMIC_CONTROLLER_DEFAULT_RESYNC_PERIOD, {{ .dynamicControllerDefaultResyncPeriod | int64 | quote }}]
- [dynamic-controller-default-queue-max-retries, DYNAMIC_CONTROLLER_DEFAULT_QUEUE_MAX_RETRIES, {{ .dynamicControllerDefaultQueueMaxRetries | int64 | quote }}]
- [dynamic-controller-rate-limiter-min-delay, DYNAMIC_CONTROLLER_RATE_LIMITER_MIN_DELAY, {{ .dynamicControllerRateLimiterMinDelay | quote }}]
- [dynamic-controller-rate-limiter-max-delay, DYNAMIC_CONTROLLER_RATE_LIMITER_MAX_DELAY, {{ .dynamicControllerRateLimiterMaxDelay | quote }}]
- [dynamic-controller-rate-limiter-rate-limit, DYNAMIC_CONTROLLER_RATE_LIMITER_RATE_LIMIT, {{ .dynamicControllerRateLimiterRateLimit | int64 | quote }}]
- [dynamic-controller-rate-limiter-burst-limit, DYNAMIC_CONTROLLER_RATE_LIMITER_BURST_LIMIT, {{ .dynamicControllerRateLimiterBurstLimit | int64 | quote }}]
- [client-qps, CLIENT_QPS, {{ .clientQps | quote }}]
- [client-burst, CLIENT_BURST, {{ .clientBurst | int64 | quote }}]
- [rgd-max-collection-size, RGD_MAX_COLLECTION_SIZE, {{ .rgd.maxCollectionSize | int64 | quote }}]
- [rgd-max-collection-dimension-size, RGD_MAX_COLLECTION_DIMENSION_SIZE, {{ .rgd.maxCollectionDimensionSize | int64 | quote }}]
- [rgd-max-graph-revisions, RGD_MAX_GRAPH_REVISIONS, {{ .rgd.maxGraphRevisions | int64 | quote }}]
- [rgd-progress-requeue-delay, RGD_PROGRESS_REQUEUE_DELAY, {{ .resourceGraphDefinitionProgressRequeueDelay | quote }}]
- [leader-election-lease-duration, LEADER_ELECTION_LEASE_DURATION, {{ .leaderElectionLeaseDuration | quote }}]
- [leader-election-renew-deadline, LEADER_ELECTION_RENEW_DEADLINE, {{ .leaderElectionRenewDeadline | quote }}]
- [leader-election-retry-period, LEADER_ELECTION_RETRY_PERIOD, {{ .leaderElectionRetryPeriod | quote }}]
{{- end -}}
{{- end -}}

{{- define "kro.image" -}}
{{- if .Values.image.ko -}}
ko://{{ .Values.image.repository }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ if .Values.debug.pprof.enabled }}-debug{{ end }}
{{- end -}}
{{- end -}}

{{/* The port that ends an address; nothing where the address turns the listener off. */}}
{{- define "kro.port" -}}
{{- if not (has (toString .) (list "" "0")) -}}
{{- regexFind "[0-9]+$" (toString .) -}}
{{- end -}}
{{- end -}}

{{- define "kro.probePort" -}}
{{- $address := .Values.config.healthProbeBindAddress | toString -}}
{{- if not (has $address (list "" "0")) -}}
{{- include "kro.port" $address | default "8079" -}}
{{- end -}}
{{- end -}}

{{/*
Seconds between SIGTERM and SIGKILL: what the running passes may take, and 10 for the lease and the
connections. Passes that may take for ever get an hour, for a pod has to end.
*/}}
{{- define "kro.gracePeriod" -}}
{{- $timeout := .Values.config.gracefulShutdownTimeout | toString -}}
{{- if not (kindIs "invalid" .Values.deployment.terminationGracePeriodSeconds) -}}
{{- .Values.deployment.terminationGracePeriodSeconds | int64 -}}
{{- else if hasPrefix "-" $timeout -}}
3600
{{- else -}}
{{- /* There is no function that reads a duration, but one that adds it to a date. */ -}}
{{- $start := toDate "2006-01-02" "2000-01-01" -}}
{{- $end := mustDateModify $timeout $start -}}
{{- sub ($end | unixEpoch | int64) ($start | unixEpoch | int64) | add 10 -}}
{{- end -}}
{{- end -}}
