// The documents of docs/api.md.

export type Level = 'ok' | 'idle' | 'degraded' | 'failing';

export interface Golden {
  requests: number;
  failures: number;
  cancelled?: number;
  attempts?: number;
  attempt_failures?: number;
  retries: number;
  success_rate: number;
  effective_success_rate: number;
  rps: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  mtls_share: number;
  connections?: number;
  opened_connections?: number;
  /** Of a time past nobody knows. */
  open_connections?: number | null;
  received_bytes?: number;
  sent_bytes?: number;
}

export interface GoldenKey {
  source?: string | null;
  source_namespace?: string | null;
  destination?: string | null;
  destination_namespace?: string | null;
  route?: string | null;
  backend?: string | null;
  backend_namespace?: string | null;
  endpoint?: string | null;
  view?: 'client' | 'server' | null;
}

export type GoldenItem = Golden & GoldenKey;

export interface Missing {
  replica: string;
  why: string;
}

export interface Gap {
  from: string;
  to: string;
  who: string;
  why: string;
}

export interface Envelope<T> {
  from: string;
  to: string;
  step_s: number;
  reaches_back_to?: string | null;
  store?: string;
  partial?: Missing[];
  gaps?: Gap[];
  items: T[];
}

export interface Series extends GoldenKey {
  t0: string;
  requests: (number | null)[];
  failures: (number | null)[];
  retries: (number | null)[];
  p50_ms: (number | null)[];
  p95_ms: (number | null)[];
  p99_ms: (number | null)[];
}

export interface Reason {
  code: string;
  text: string;
  since?: string | null;
}

export interface Baseline {
  success_rate: number | null;
  p99_ms: number | null;
  rps: number;
}

export interface EndpointCounts {
  total: number;
  ready: number;
  meshed: number;
  ejected: number;
}

/** What every document about the mesh begins with. */
export interface Timed {
  at: string;
  window_s: number;
  from?: string;
  to?: string;
  /** It is about a time that is over. */
  past?: boolean;
  /** Fields that are empty because nobody knows what they were then. */
  left_out?: string[];
  reaches_back_to?: string | null;
  store?: string;
  partial?: Missing[];
  gaps?: Gap[];
}

export interface OverviewService {
  namespace: string;
  name: string;
  level: Level;
  meshed: boolean | null;
  reasons: Reason[];
  golden: Golden;
  baseline?: Baseline | null;
  spark?: { t0: string; step_s: number; rps: (number | null)[]; success_rate: (number | null)[]; p99_ms: (number | null)[] } | null;
  endpoints: EndpointCounts | null;
  faults: number | null;
}

export interface Change {
  at: string;
  kind: string;
  what: string;
  namespace?: string | null;
  service?: string | null;
  version?: string | null;
}

export interface Fault {
  id: string;
  namespace: string;
  /** None when a route is its target. */
  service?: string | null;
  policy: string;
  text: string;
  expires_at?: string | null;
  temporary: boolean;
  by?: string | null;
}

export interface Overview extends Timed {
  status: { level: Level; sentence: string };
  services: OverviewService[];
  changes: Change[];
  faults: Fault[];
}

export interface GraphNode {
  id: string;
  namespace: string;
  name: string;
  kind: 'service' | 'workload' | 'unmeshed' | 'external';
  level: Level;
  rps: number;
  success_rate: number;
  p99_ms: number;
  endpoints?: EndpointCounts | null;
  zones?: string[];
  workloads?: string[];
}

export interface GraphEdge {
  source: string;
  destination: string;
  level: Level;
  client?: Golden | null;
  server?: Golden | null;
  mtls_share: number;
  decisions?: Record<string, number>;
  /** From a Service to a backend that its routes lead to. */
  routed?: boolean;
}

export interface Topology extends Timed {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export interface Balancer {
  source: string;
  source_namespace: string;
  instance: string;
  state: string;
  active: number;
  ewma_ms: number;
  weight: number;
  ejected_until?: string | null;
  why?: string | null;
  at: string;
}

export interface Endpoint {
  address: string;
  workload?: string | null;
  identity?: string | null;
  zone?: string | null;
  version?: string | null;
  weight: number | null;
  meshed: boolean | null;
  ready: boolean | null;
  golden: Golden;
  balancers: Balancer[];
}

export interface Decision {
  workload: string;
  namespace: string;
  side: string;
  decision: string;
  reason: string;
  service: string;
  service_namespace?: string;
  count: number;
  rate?: number;
}

export interface ServicePage extends Timed {
  namespace: string;
  name: string;
  level: Level;
  reasons: Reason[];
  ports?: { port: number; name?: string | null; protocol?: string | null }[];
  golden: Golden;
  baseline?: Baseline | null;
  inbound: GoldenItem[];
  outbound: GoldenItem[];
  routes: GoldenItem[];
  endpoints: Endpoint[];
  versions: { backend: string; backend_namespace: string; weight: number | null; golden: Golden }[];
  policies: { kind: string; namespace: string; name: string; accepted: boolean; settings: string }[];
  decisions: Decision[];
  faults: Fault[];
  changes: Change[];
}

export interface Denial {
  at: string;
  workload: string;
  namespace: string;
  caller: string;
  method: string;
  path: string;
  audit: boolean;
  rule?: string | null;
  nearest?: string | null;
  count: number;
}

export interface Certificate {
  identity: string;
  node?: string | null;
  not_before: string;
  not_after: string;
  life_used: number;
  serial: string;
  issuer?: string | null;
}

export interface Security extends Timed {
  denials_reach_back_to?: string | null;
  mtls: (GoldenKey & { requests: number; mtls_share: number; source_identity?: string | null; destination_identity?: string | null })[];
  unmeshed: { namespace: string; service: string; address: string; reason?: string | null }[];
  certificates: Certificate[];
  roots: { subject: string; not_after: string; current: boolean }[];
  denials?: Denial[];
}

export interface Subscription {
  type_url: string;
  names: string[];
  version_sent?: string | null;
  version_acked?: string | null;
  status: string;
}

export interface Client {
  id: string;
  identity?: string | null;
  address?: string | null;
  connected_since: string;
  variant?: string;
  acks: number;
  nacks: number;
  last_nack?: unknown;
  version?: string | null;
  stale_s?: number | null;
  push_ms?: number | null;
  replica?: string | null;
  subscriptions: Subscription[];
}

export interface Info {
  version: string;
  trust_domain?: string;
  started_at?: string;
  uptime_s?: number;
  replica?: string;
  replicas?: { name: string; leader: boolean; reachable: boolean }[];
  source?: string;
  store?: { kind: string; bytes?: number; max_bytes?: number; series?: number; max_series?: number; overflowed_series?: number; oldest?: string | null };
  tokens?: string;
  rights?: string[];
}

export interface TapEvent {
  at: string;
  side: string;
  source?: string | null;
  source_namespace?: string | null;
  instance?: string | null;
  destination?: string | null;
  destination_namespace?: string | null;
  peer?: string | null;
  endpoint?: string | null;
  method: string;
  authority?: string | null;
  path: string;
  route?: string | null;
  status?: number | null;
  grpc_status?: number | null;
  error?: string | null;
  latency_ms: number;
  attempts?: number;
  tls?: string | null;
  trace_id?: string | null;
  open?: boolean;
  stream?: string | null;
  request_headers?: Record<string, string>;
  response_headers?: Record<string, string>;
}

export interface TapStats {
  data_planes: number;
  sent: number;
  dropped: number;
  sampled: number;
}

export interface TopItem {
  source?: string | null;
  source_namespace?: string | null;
  destination?: string | null;
  destination_namespace?: string | null;
  method: string;
  path: string;
  count: number;
  best_ms: number;
  worst_ms: number;
  last_ms: number;
  success_rate: number;
}

export interface TraceItem {
  trace_id: string;
  at: string;
  root: string;
  workload: string;
  namespace: string;
  duration_ms: number;
  spans: number;
  failed: boolean;
  services: string[];
}

export interface Span {
  span_id: string;
  parent_id?: string | null;
  name: string;
  kind: string;
  workload: string;
  namespace: string;
  start: string;
  duration_ms: number;
  status?: string | null;
  attributes?: Record<string, unknown>;
  events?: { at: string; name: string; attributes?: Record<string, unknown> }[];
}

export interface Trace {
  trace_id: string;
  partial?: Missing[];
  spans: Span[];
}
