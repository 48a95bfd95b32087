/** The two kinds of process that have metrics, logs and an admin API. */
export type Component = 'front' | 'agent';

/** One metric; `name` is without METRIC_PREFIX. Histograms are durations over DurationHistogram.BOUNDS. */
export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export const METRIC_PREFIX = 'baton_';

/** Every metric of the project. Names, types and labels are a contract with dashboards and alerts. */
export const CATALOGUE: Readonly<Record<Component, readonly MetricSpec[]>> = {
  front: [
    {
      name: 'connections_accepted_total',
      type: 'counter',
      help: 'Connections that a listener accepted.',
      labels: ['listener'],
    },
    {
      name: 'handoffs_total',
      type: 'counter',
      help: 'Handoffs tried, by backend and result.',
      labels: ['pool', 'backend', 'result'],
    },
    {
      name: 'handoff_duration_seconds',
      type: 'histogram',
      help: 'Time from a complete head to the release of the socket.',
      labels: ['pool'],
    },
    {
      name: 'handbacks_total',
      type: 'counter',
      help: 'Connections that agents handed back because a later request belongs elsewhere, by reason and result.',
      labels: ['reason', 'result'],
    },
    {
      name: 'moves_total',
      type: 'counter',
      help: 'Live connections that were to move to another backend, by reason and result.',
      labels: ['reason', 'result'],
    },
    {
      name: 'move_duration_seconds',
      type: 'histogram',
      help: 'Time from the hand back of a connection to its COMMIT at another backend.',
      labels: ['reason'],
    },
    {
      name: 'fallbacks_total',
      type: 'counter',
      help: 'Connections for which no handoff was possible, by reason.',
      labels: ['reason'],
    },
    {
      name: 'heads_refused_total',
      type: 'counter',
      help: 'Connections that were refused because of their head, by reason.',
      labels: ['reason'],
    },
    {
      name: 'responses_total',
      type: 'counter',
      help: 'Requests that the front answered itself, by the action of their route and status code.',
      labels: ['action', 'code'],
    },
    {
      name: 'exhausted_total',
      type: 'counter',
      help: 'Connections that met a shortage at the front: connections, files, memory, flows, offers.',
      labels: ['resource'],
    },
    {
      name: 'flows',
      type: 'gauge',
      help: 'Flows in the flow table, by backend.',
      labels: ['backend'],
    },
    {
      name: 'flow_capacity',
      type: 'gauge',
      help: 'Flows that the flow table has room for.',
      labels: [],
    },
    {
      name: 'certificate_expiry_timestamp_seconds',
      type: 'gauge',
      help: 'When the certificate of the control channel ends, Unix time; only with control.tls.',
      labels: ['node'],
    },
    {
      name: 'flows_reset_total',
      type: 'counter',
      help: 'Connections that were ended with a RST because the host of their backend is gone.',
      labels: ['backend'],
    },
    {
      name: 'steered_packets_total',
      type: 'counter',
      help: 'Client packets that the kernel steered to a backend.',
      labels: ['backend'],
    },
    {
      name: 'steered_bytes_total',
      type: 'counter',
      help: 'Bytes of the client packets that the kernel steered to a backend.',
      labels: ['backend'],
    },
    {
      name: 'backend_up',
      type: 'gauge',
      help: 'Whether a backend is healthy: 1 up, 0 down.',
      labels: ['pool', 'backend'],
    },
    {
      name: 'backend_state',
      type: 'gauge',
      help: 'State of a backend: 1 for the one that it is in (up, slow-start, ejected, draining, down), 0 for the others.',
      labels: ['pool', 'backend', 'state'],
    },
    {
      name: 'ejections_total',
      type: 'counter',
      help: 'Ejections of a backend, by cause: errors, latency or failures.',
      labels: ['pool', 'backend', 'cause'],
    },
    {
      name: 'pool_panic',
      type: 'gauge',
      help: 'Whether a backend of the pool stays although it should be ejected, because too few would be left.',
      labels: ['pool'],
    },
    {
      name: 'backend_connections',
      type: 'gauge',
      help: "Connections that a backend's agent has adopted from all fronts, as it reports them.",
      labels: ['backend'],
    },
    {
      name: 'discovery_total',
      type: 'counter',
      help: 'Resolutions of the DNS name of a pool, by result: ok, failed, empty.',
      labels: ['pool', 'result'],
    },
    {
      name: 'config_reloads_total',
      type: 'counter',
      help: 'Reloads of the configuration, by result.',
      labels: ['result'],
    },
    {
      name: 'log_lines_dropped_total',
      type: 'counter',
      help: 'Log lines that could not be written: the reader did not keep up, or the disk was full.',
      labels: [],
    },
  ],
  agent: [
    {
      name: 'agent_adoptions_total',
      type: 'counter',
      help: 'Connections offered by fronts, by result.',
      labels: ['result'],
    },
    {
      name: 'agent_restore_duration_seconds',
      type: 'histogram',
      help: 'Time to rebuild one connection in this kernel.',
      labels: [],
    },
    {
      name: 'agent_certificate_expiry_timestamp_seconds',
      type: 'gauge',
      help: 'When the certificate of the control channel ends, Unix time; only with control.tls.',
      labels: ['node'],
    },
    {
      name: 'agent_connections',
      type: 'gauge',
      help: 'Adopted connections that are open.',
      labels: [],
    },
    {
      name: 'agent_requests_total',
      type: 'counter',
      help: 'Requests answered on adopted connections, by status code.',
      labels: ['code'],
    },
    {
      name: 'agent_diverted_requests_total',
      type: 'counter',
      help: 'Later requests of adopted connections that did not reach the application: relayed to where they belong, answered for the front, or refused because they are none.',
      labels: ['action'],
    },
    {
      name: 'agent_access_lines_dropped_total',
      type: 'counter',
      help: 'Lines of the access log that could not be written: the reader did not keep up, or the disk was full.',
      labels: [],
    },
    {
      name: 'agent_response_bytes_total',
      type: 'counter',
      help: 'Bytes sent to clients on adopted connections.',
      labels: [],
    },
    {
      name: 'log_lines_dropped_total',
      type: 'counter',
      help: 'Log lines that could not be written: the reader did not keep up, or the disk was full.',
      labels: [],
    },
  ],
};
