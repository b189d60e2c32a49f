// A control plane that is none: serves the built page and the documents of docs/api.md, made up, for work on the page and for tests of it alone.
//
//   node mock/server.mjs [--port 15914] [--services 8] [--fast] [--token view]
//
// --services N  a mesh of N services; --fast: what is live comes twenty times as often (an hour of updates in three minutes).
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(`--${name}`) ? args[args.indexOf(`--${name}`) + 1] : otherwise);
const port = Number(option('port', 15914));
const size = Number(option('services', 0));
const token = option('token', null);
const every = args.includes('--fast') ? 50 : 1000;
const dist = option('dist', join(fileURLToPath(new URL('.', import.meta.url)), '..', 'dist'));
const started = Date.now();
let said = 0;

let seed = 7;
const random = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const wobble = (value, share = 0.08) => value * (1 + (random() - 0.5) * 2 * share);
const iso = (t) => new Date(t).toISOString();

const shop = [
  ['customers', 'storefront', 42, 18],
  ['storefront', 'catalog', 42, 4.2],
  ['storefront', 'cart', 21, 6.1],
  ['storefront', 'recommendations', 38, 9.4],
  ['cart', 'pricing', 21, 3.1],
  ['cart', 'inventory', 12, 5.2],
  ['recommendations', 'catalog', 38, 4.4],
  ['pricing', 'currency', 20, 1.6],
  ['storefront', 'payments', 6, 38],
  ['payments', 'fraud', 6, 12],
];
const namespaceOf = (name) => (['payments', 'fraud'].includes(name) ? 'pay' : 'shop');
const pairs = size
  ? Array.from({ length: size * 2 }, (_, i) => [`svc-${Math.floor(i / 2)}`, `svc-${(Math.floor(i / 2) * 2 + 1 + (i % 2)) % size}`, 5 + (i % 40), 2 + (i % 13)]).filter(([a, b]) => a !== b)
  : shop;
const names = [...new Set(pairs.map((p) => p[1]))];
const faults = [{ id: 'own', namespace: 'pay', service: 'payments', policy: 'pay/slow', text: '+200 ms for 20 %', expires_at: null, temporary: false, by: null }];
let nextFault = 1;

const slow = (name) => faults.filter((f) => f.service === name && f.delay_ms).reduce((n, f) => n + f.delay_ms, 0);
const fails = (name) => faults.filter((f) => f.service === name && f.abort_percent).reduce((n, f) => n + f.abort_percent / 100, 0);
const badness = (name) => Math.min(1, (name === 'payments' && !size ? 0.12 : name === 'inventory' && !size ? 0.004 : 0) + fails(name));

function golden(rps, p50, bad, seconds, mtls = 1, retried = 0) {
  const requests = Math.max(0, Math.round(wobble(rps) * seconds));
  const failures = Math.round(requests * bad);
  const retries = Math.round(requests * retried);
  const attempts = requests + retries;
  return {
    requests, failures, cancelled: 0, attempts, attempt_failures: failures + retries, retries,
    success_rate: attempts ? 1 - (failures + retries) / attempts : 1, effective_success_rate: requests ? 1 - failures / requests : 1,
    rps: requests / seconds, p50_ms: wobble(p50), p95_ms: wobble(p50 * 2.8), p99_ms: wobble(p50 * 4.5), mtls_share: mtls,
    connections: 0, open_connections: 0, received_bytes: 0, sent_bytes: 0,
  };
}
const mtls = ([from]) => (from === 'customers' ? 0 : 1);
const pairOf = (p, seconds) => ({
  source: p[0], source_namespace: namespaceOf(p[0]), destination: p[1], destination_namespace: namespaceOf(p[1]),
  ...golden(p[2], p[3] + slow(p[1]), badness(p[1]), seconds, mtls(p), p[1] === 'pricing' ? 0.02 : 0),
});
const into = (name, seconds) => {
  const all = pairs.filter((p) => p[1] === name);
  const rps = all.reduce((n, p) => n + p[2], 0);
  const secured = all.reduce((n, p) => n + p[2] * mtls(p), 0);
  return golden(rps, (all[0]?.[3] ?? 1) + slow(name), badness(name), seconds, rps ? secured / rps : 1, name === 'pricing' ? 0.02 : 0);
};
const levelOf = (name) => (badness(name) >= 0.1 ? 'failing' : badness(name) >= 0.01 || name === 'pricing' || slow(name) > 0 ? 'degraded' : name === 'currency' ? 'ok' : 'ok');
const idle = 'returns';

const changes = () => [
  { at: iso(started - 180_000), kind: 'config', what: 'HTTPRoute shop/pricing changed: weights 90/10', namespace: 'shop', service: 'pricing', version: '87' },
  { at: iso(started - 390_000), kind: 'config', what: 'FaultPolicy pay/slow added', namespace: 'pay', service: 'payments', version: '86' },
  { at: iso(started - 600_000), kind: 'certificate', what: 'Every workload renewed its certificate', version: null },
  { at: iso(started - 700_000), kind: 'endpoint', what: 'Endpoint 10.0.3.7:8080 of catalog joined', namespace: 'shop', service: 'catalog' },
  ...faults.filter((f) => f.temporary).map((f) => ({ at: f.at, kind: 'fault', what: `Fault on ${f.namespace}/${f.service}: ${f.text}`, namespace: f.namespace, service: f.service })),
].sort((a, b) => (a.at < b.at ? 1 : -1));

const reasons = (name) => {
  const found = [];
  if (badness(name) >= 0.01) found.push({ code: 'failures', text: `${(badness(name) * 100).toFixed(1)} % of calls fail`, since: iso(started - 380_000) });
  if (slow(name)) found.push({ code: 'latency', text: `p99 ${(slow(name) / 20 + 1).toFixed(0)}× of the hour before`, since: iso(Date.now() - 5000) });
  if (name === 'pricing' && !size) found.push({ code: 'ejected', text: '1 of 3 endpoints is ejected: 5 failures in a row', since: iso(started - 40_000) });
  return found;
};
const counts = (name) => ({ total: name === 'pricing' ? 3 : 2, ready: name === 'pricing' ? 3 : 2, meshed: name === 'inventory' ? 1 : name === 'pricing' ? 3 : 2, ejected: name === 'pricing' && !size ? 1 : 0 });
const RANK = { failing: 0, degraded: 1, ok: 2, idle: 3 };

function overview(seconds) {
  const t0 = Date.now() - 900_000;
  const services = names.map((name) => {
    const g = into(name, seconds);
    const wave = (base, share) => Array.from({ length: size ? 15 : 90 }, (_, i) => base * (1 + Math.sin(i / 9) * share + (random() - 0.5) * share));
    return {
      namespace: namespaceOf(name), name, level: levelOf(name), meshed: true, reasons: reasons(name), golden: g,
      baseline: { success_rate: 1, p99_ms: g.p99_ms / 1.1, rps: g.rps },
      spark: { t0: iso(t0), step_s: 10, rps: wave(g.rps, 0.12), success_rate: wave(1, 0).map((_, i) => (i > 52 ? 1 - badness(name) * (0.7 + random() * 0.5) : 1)), p99_ms: wave(g.p99_ms, 0.2) },
      endpoints: counts(name), faults: faults.filter((f) => f.service === name).length,
    };
  });
  if (!size) {
    services.push({ namespace: 'shop', name: idle, level: 'idle', meshed: true, reasons: [], golden: golden(0, 0, 0, seconds), baseline: null, spark: null, endpoints: { total: 1, ready: 1, meshed: 1, ejected: 0 }, faults: 0 });
    services.find((s) => s.name === idle).golden = { ...golden(0, 0, 0, seconds), p50_ms: 0, p95_ms: 0, p99_ms: 0 };
  }
  services.sort((a, b) => RANK[a.level] - RANK[b.level] || (a.name < b.name ? -1 : 1));
  const bad = services.filter((s) => RANK[s.level] < 2);
  const worst = bad[0];
  return {
    at: iso(Date.now()), window_s: seconds, reaches_back_to: iso(started - 6 * 3600_000), store: 'disk', partial: [], gaps: [],
    status: {
      level: worst?.level ?? 'ok',
      sentence: worst ? `${bad.length} of ${services.length} services need attention: ${worst.name} fails ${(badness(worst.name) * 100).toFixed(1)} % since ${iso(started - 380_000).slice(11, 16)}, after FaultPolicy pay/slow was added.` : `All ${services.length} services are well.`,
    },
    services, changes: changes(), faults,
  };
}

function topology(seconds) {
  const all = [...new Set(pairs.flatMap((p) => [p[0], p[1]])), ...(size ? [] : [idle])];
  return {
    at: iso(Date.now()), window_s: seconds, partial: [],
    nodes: all.map((name) => {
      if (name === 'customers') return { id: 'unmeshed', namespace: '', name: 'unmeshed', kind: 'unmeshed', level: 'ok', rps: 0, success_rate: 1, p99_ms: 0, endpoints: null, zones: [], workloads: [] };
      const g = name === idle ? golden(0, 0, 0, seconds) : into(name, seconds);
      return { id: `${namespaceOf(name)}/${name}`, namespace: namespaceOf(name), name, kind: 'service', level: name === idle ? 'idle' : levelOf(name), rps: g.rps, success_rate: g.effective_success_rate, p99_ms: g.p99_ms, endpoints: counts(name), zones: ['a', 'b'], workloads: [name] };
    }),
    edges: pairs.map((p) => {
      const client = pairOf(p, seconds);
      const id = (n) => (n === 'customers' ? 'unmeshed' : `${namespaceOf(n)}/${n}`);
      return { source: id(p[0]), destination: id(p[1]), level: badness(p[1]) >= 0.1 ? 'failing' : badness(p[1]) >= 0.01 ? 'degraded' : 'ok', client: p[0] === 'customers' ? null : client, server: { ...client, p50_ms: client.p50_ms * 0.8, p99_ms: client.p99_ms * 0.7, retries: 0 }, mtls_share: mtls(p), decisions: p[1] === 'pricing' ? { retry: 7, eject: 1 } : {} };
    }),
  };
}

function service(namespace, name, seconds) {
  const two = name === 'pricing';
  const version = (b, weight, worse) => ({ backend: b, backend_namespace: namespace, weight, golden: golden(20 * weight / 100, 3.1 * worse, worse > 1 ? 0.021 : 0.001, seconds) });
  return {
    at: iso(Date.now()), window_s: seconds, namespace, name, level: name === idle ? 'idle' : levelOf(name), reasons: reasons(name), ports: [{ port: 80, name: 'http', protocol: 'HTTP' }],
    golden: into(name, seconds), baseline: { success_rate: 1, p99_ms: 14.1, rps: 20 },
    inbound: pairs.filter((p) => p[1] === name).map((p) => pairOf(p, seconds)), outbound: pairs.filter((p) => p[0] === name).map((p) => pairOf(p, seconds)),
    routes: ['GET /prices/{id}', 'POST /quotes'].map((route, i) => ({ source: null, destination: name, destination_namespace: namespace, route: i ? route : `${name}/0`, view: i ? 'server' : 'client', ...golden(20 / (i + 1), 3, badness(name), seconds) })),
    endpoints: Array.from({ length: counts(name).total }, (_, i) => ({
      address: `10.0.${i}.7:8080`, workload: two && i === 2 ? `${name}-v2` : name, identity: `spiffe://cluster.local/ns/${namespace}/sa/${name}`, zone: 'ab'[i % 2], version: two && i === 2 ? 'v2' : 'v1', weight: 1, meshed: !(name === 'inventory' && i === 1), ready: true,
      golden: golden(20 / counts(name).total, 3, i === 2 ? 0.08 : 0, seconds),
      balancers: pairs.filter((p) => p[1] === name).map((p) => ({ source: p[0], source_namespace: namespaceOf(p[0]), instance: `${p[0]}~1~${namespaceOf(p[0])}`, state: two && i === 2 ? 'ejected' : 'ready', active: i, ewma_ms: wobble(3.1), weight: 1, ejected_until: two && i === 2 ? iso(Date.now() + 23_000) : null, why: two && i === 2 ? '5 failures in a row (503)' : null, at: iso(Date.now() - 900) })),
    })),
    versions: two ? [version('pricing', 90, 1), version('pricing-v2', 10, 1.6)] : [],
    policies: [
      { kind: 'RetryPolicy', namespace, name: 'reads', accepted: true, settings: '2 retries on 5xx and connect failures, budget 20 %, 50 ms base' },
      { kind: 'OutlierPolicy', namespace, name: 'defaults', accepted: true, settings: '5 failures in a row, 30 s, at most 50 %' },
    ],
    decisions: two ? [{ workload: 'cart', namespace: 'shop', side: 'client', decision: 'retry', reason: '503', service: name, count: 27, rate: 0.4 }, { workload: 'cart', namespace: 'shop', side: 'client', decision: 'eject', reason: 'consecutive_5xx', service: name, count: 1, rate: 0 }] : [],
    faults: faults.filter((f) => f.service === name), changes: changes().filter((c) => !c.service || c.service === name),
  };
}

function series(query, from, to) {
  const step = Number(query.get('step_s') ?? 10);
  const name = query.get('destination');
  const rps = pairs.filter((p) => p[1] === name).reduce((n, p) => n + p[2], 0);
  const p50 = pairs.find((p) => p[1] === name)?.[3] ?? 3;
  const t0 = Math.floor(from / 1000 / step) * step;
  const n = Math.min(2000, Math.floor((to / 1000 - t0) / step));
  const at = (i) => (t0 + i * step) * 1000;
  const noise = (i, s) => 1 + Math.sin((t0 / step + i) / 7 + s) * 0.07 + Math.sin((t0 / step + i) * 12.9898 + s) * 0.05;
  const since = (i) => (at(i) > started - 380_000 ? 1 : 0);
  const requests = Array.from({ length: n }, (_, i) => Math.round(rps * step * noise(i, 1)));
  return {
    destination: name, destination_namespace: query.get('destination_namespace'), t0: iso(t0 * 1000), requests,
    failures: requests.map((r, i) => Math.round(r * (name === 'payments' ? 0.12 : 0) * since(i) * noise(i, 3))), retries: requests.map((r, i) => (name === 'pricing' ? Math.round(r * 0.02 * noise(i, 5)) : 0)),
    p50_ms: requests.map((_, i) => p50 * noise(i, 2)), p95_ms: requests.map((_, i) => p50 * 2.8 * noise(i, 4) * (1 + since(i) * 0.3)), p99_ms: requests.map((_, i) => p50 * 4.5 * noise(i, 6) * (1 + since(i) * 0.6)),
  };
}

/** Of a time past: what is only known of now is left out, as docs/api.md has it. */
function asPast(name, doc, from, to) {
  const left = (fields) => ({ ...doc, from: iso(from), to: iso(to), window_s: Math.round((to - from) / 1000), past: true, left_out: fields, gaps: [] });
  if (name === 'overview') {
    return {
      ...left(['faults', 'services.meshed', 'services.endpoints', 'services.faults']), faults: [],
      status: { level: 'failing', sentence: `1 of ${doc.services.length} services was failing: payments failed 12.0 % from ${iso(from).slice(11, 16)} UTC on.` },
      services: doc.services.map((s) => ({ ...s, meshed: null, endpoints: null, faults: null, reasons: s.name === 'payments' ? [{ code: 'failures', text: '12.0 % of calls failed', since: iso(from) }] : [], level: s.name === 'payments' ? 'failing' : 'ok' })),
    };
  }
  if (name === 'topology') return { ...left(['nodes.endpoints', 'nodes.zones', 'nodes.workloads']), nodes: doc.nodes.map((n) => ({ ...n, endpoints: null, zones: [], workloads: [] })) };
  if (name === 'security') return { ...left(['mtls.source_identity', 'mtls.destination_identity', 'unmeshed', 'certificates', 'roots']), unmeshed: [], certificates: [], roots: [], denials_reach_back_to: iso(Date.now() - hours(24)) };
  if (name.startsWith('service:')) {
    return {
      ...left(['ports', 'policies', 'faults', 'endpoints.identity', 'endpoints.ready', 'endpoints.balancers', 'versions.weight']), ports: [], policies: [], faults: [],
      endpoints: doc.endpoints.map((e) => ({ address: e.address, workload: null, identity: null, zone: null, version: null, weight: null, meshed: null, ready: null, golden: e.golden, balancers: [] })),
      versions: doc.versions.map((v) => ({ ...v, weight: null })),
    };
  }
  return doc;
}

const hours = (n) => n * 3600_000;
const security = () => ({
  mtls: pairs.map((p) => ({ source: p[0] === 'customers' ? null : p[0], source_namespace: p[0] === 'customers' ? null : namespaceOf(p[0]), destination: p[1], destination_namespace: namespaceOf(p[1]), requests: 1200, mtls_share: p[1] === 'inventory' ? 0.62 : mtls(p), source_identity: p[0] === 'customers' ? null : `spiffe://cluster.local/ns/${namespaceOf(p[0])}/sa/${p[0]}`, destination_identity: `spiffe://cluster.local/ns/${namespaceOf(p[1])}/sa/${p[1]}` })),
  unmeshed: [{ namespace: 'shop', service: 'inventory', address: '10.0.1.7:8080', reason: 'No workload with the identity spiffe://cluster.local/ns/shop/sa/inventory has served 10.0.1.7:8080 yet: start it with UseMesh() and a join token, or the sidecar.' }],
  certificates: names.map((name, i) => { const used = [0.1, 0.3, 0.45, 0.82, 0.2, 0.6, 0.95, 0.05][i % 8]; return { identity: `spiffe://cluster.local/ns/${namespaceOf(name)}/sa/${name}`, node: `${name}-7f9c`, not_before: iso(Date.now() - hours(24 * used)), not_after: iso(Date.now() + hours(24 * (1 - used))), life_used: used, serial: `4A${i}F09C1`, issuer: 'Mesh issuer 2' }; }),
  roots: [{ subject: 'CN=Mesh root, O=cluster.local', not_after: iso(started + hours(24 * 3500)), current: true }],
  denials: [
    { at: iso(Date.now() - 22_000), workload: 'payments', namespace: 'pay', caller: 'spiffe://cluster.local/ns/shop/sa/recommendations', method: 'POST', path: '/charge', audit: false, rule: null, nearest: 'AuthorizationPolicy pay/storefront-may-charge: the caller is not shop/storefront', count: 14 },
    { at: iso(Date.now() - 71_000), workload: 'catalog', namespace: 'shop', caller: '', method: 'GET', path: '/admin/<script>alert(1)</script>', audit: true, rule: 'AuthorizationPolicy shop/no-admin', nearest: null, count: 2 },
  ],
});

const TYPES = ['Listener', 'RouteConfiguration', 'Cluster', 'ClusterLoadAssignment'];
const clients = () => names.map((name, i) => ({
  id: `${name}~1~${namespaceOf(name)}`, identity: `spiffe://cluster.local/ns/${namespaceOf(name)}/sa/${name}`, address: `10.0.${i}.7:51234`, connected_since: iso(started - 600_000), variant: 'delta', acks: 12 + i, nacks: name === 'fraud' ? 1 : 0,
  last_nack: name === 'fraud' ? "Cluster 'payments' rejected: endpoints[2].address has no port. Set socket_address.port_value to 1–65535. (node 'fraud-7f', version '87')" : null, version: name === 'fraud' ? '86' : '87', stale_s: name === 'fraud' ? 180 : 0, push_ms: 4 + i,
  subscriptions: TYPES.map((t) => ({ type_url: `type.googleapis.com/envoy.config.${t}`, names: [`${name}`, 'pricing'], version_sent: '87', version_acked: name === 'fraud' && t === 'Cluster' ? '86' : '87', status: name === 'fraud' && t === 'Cluster' ? 'NACK' : 'ACK' })),
}));

const traceId = (i) => `4bf92f3577b34da6a3ce929d0e0e${(4736 + i).toString(16).padStart(4, '0')}`;
const traces = () => Array.from({ length: 24 }, (_, i) => ({ trace_id: traceId(i), at: iso(Date.now() - i * 3100), root: i % 3 ? 'GET /products/{id}' : 'POST /checkout', workload: 'storefront', namespace: 'shop', duration_ms: 12 + ((i * 37) % 190), spans: 6 + (i % 4), failed: i % 7 === 3, services: ['storefront', 'cart', 'pricing'] }));
function trace(id) {
  const t = Date.now() - 60_000;
  const span = (n, parent, name, kind, workload, at, took, extra = {}) => ({ span_id: `00f067aa0ba902b${n}`, parent_id: parent === null ? null : `00f067aa0ba902b${parent}`, name, kind, workload, namespace: namespaceOf(workload), start: iso(t + at), duration_ms: took, status: 'ok', attributes: { 'http.request.method': name.split(' ')[0] }, events: [], ...extra });
  return { trace_id: id, spans: [
    span(0, null, 'POST /checkout', 'server', 'storefront', 0, 96), span(1, 0, 'GET cart', 'client', 'storefront', 4, 22), span(2, 1, 'GET /cart/{id}', 'server', 'cart', 6, 18),
    span(3, 2, 'GET pricing', 'client', 'cart', 8, 14, { events: [{ at: iso(t + 12), name: 'mesh.retry', attributes: { reason: '503', attempt: 2, endpoint: '10.0.2.7:8080' } }] }),
    span(4, 3, 'attempt 1', 'client', 'cart', 8, 4, { status: 'error', attributes: { 'http.response.status_code': 503 } }), span(5, 3, 'attempt 2', 'client', 'cart', 14, 8), span(6, 5, 'GET /prices/{id}', 'server', 'pricing', 15, 6),
    span(7, 0, 'POST payments', 'client', 'storefront', 30, 62), span(8, 7, 'POST /charge', 'server', 'payments', 32, 58, { attributes: { 'mesh.peer.identity': 'spiffe://cluster.local/ns/shop/sa/storefront' } }),
  ] };
}
const request = (i) => {
  const p = pairs[(i * 7) % pairs.length];
  const failed = badness(p[1]) > random();
  return { at: iso(Date.now()), side: 'client', source: p[0] === 'customers' ? null : p[0], source_namespace: namespaceOf(p[0]), instance: `${p[0]}~1~shop`, destination: p[1], destination_namespace: namespaceOf(p[1]), peer: `spiffe://cluster.local/ns/${namespaceOf(p[1])}/sa/${p[1]}`, endpoint: `10.0.${i % 2}.7:8080`, method: i % 5 ? 'GET' : 'POST', authority: p[1], path: i % 11 === 0 ? '/search?q=<img src=x onerror=alert(1)>' : `/items/${i % 97}`, route: `${p[1]}/0`, status: failed ? 503 : 200, grpc_status: null, error: null, latency_ms: wobble(p[3], 0.5), attempts: failed ? 3 : 1, tls: mtls(p) ? 'mesh' : 'none', trace_id: traceId(i % 24), request_headers: { accept: '*/*', 'x-request-id': '…' }, response_headers: { 'content-type': 'application/json' } };
};
const top = () => ({ items: pairs.slice(0, 300).map((p, i) => ({ source: p[0], source_namespace: namespaceOf(p[0]), destination: p[1], destination_namespace: namespaceOf(p[1]), method: i % 4 ? 'GET' : 'POST', path: `/items/{id}`, count: Math.round(p[2] * ((Date.now() - started) / 1000)), best_ms: p[3] * 0.4, worst_ms: p[3] * 9, last_ms: wobble(p[3]), success_rate: 1 - badness(p[1]) })).sort((a, b) => b.count - a.count), seen: 4211, sampled: 1 });
const info = () => ({ version: '0.1.0', trust_domain: 'cluster.local', started_at: iso(started), uptime_s: (Date.now() - started) / 1000, replica: 'mesh-control-plane-0', replicas: [{ name: 'mesh-control-plane-0', leader: true, reachable: true }, { name: 'mesh-control-plane-1', leader: false, reachable: true }], source: 'folder', store: { kind: 'disk', bytes: 48_200_000, max_bytes: 512_000_000, series: 212, max_series: 20_000, overflowed_series: 0, oldest: iso(started - hours(30)) }, tokens: 'files', rights: ['view', 'tap', 'change'] });

const FILES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://mock');
  const path = url.pathname;
  const json = (data, status = 200) => { res.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' }); res.end(JSON.stringify(data)); };
  if (!path.startsWith('/api/v1/')) {
    const file = normalize(path === '/' ? '/index.html' : path);
    try {
      const body = await readFile(join(dist, file));
      res.writeHead(200, { 'content-type': FILES[extname(file)] ?? 'application/octet-stream', 'content-security-policy': CSP });
      res.end(body);
    } catch { json({ detail: 'not here' }, 404); }
    return;
  }
  if (token && req.headers.authorization !== `Bearer ${token}`) return json({ title: 'Not permitted', detail: 'Send a token.' }, 401);
  const to = Date.parse(url.searchParams.get('to') ?? '') || Date.now();
  const from = Date.parse(url.searchParams.get('from') ?? '') || to - Number(url.searchParams.get('window') ?? 60) * 1000;
  const seconds = Math.max(1, Math.round((to - from) / 1000));
  const enveloped = (items, step = 10) => ({ from: iso(from), to: iso(to), step_s: step, reaches_back_to: iso(started - hours(6)), store: 'disk', partial: [], gaps: [], items });
  const what = path.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
  const past = to < Date.now() - 15_000;
  const doc = (name) => { const d = made(name); return d && past ? asPast(name, d, from, to) : d; };
  const made = (name) => {
    if (name === 'overview') return overview(seconds);
    if (name === 'topology') return topology(seconds);
    if (name === 'changes') return enveloped(changes());
    if (name === 'faults') return enveloped(faults);
    if (name === 'clients') return clients();
    if (name.startsWith('service:')) { const [ns, n] = name.slice(8).split('/'); return names.includes(n) || n === idle ? service(ns, n, seconds) : null; }
    return null;
  };
  const stream = (first, interval, next) => {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const say = (event, data) => { said++; res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`); };
    first(say);
    const timer = setInterval(() => next(say), interval);
    req.on('close', () => clearInterval(timer));
  };
  if (req.method === 'POST' && what[0] === 'faults') {
    let text = '';
    for await (const part of req) text += part;
    const asked = JSON.parse(text);
    const fault = { ...asked, id: `t${nextFault++}`, policy: `${asked.namespace}/temporary`, text: asked.delay_ms ? `+${asked.delay_ms} ms for ${asked.delay_percent} %` : `${asked.abort_status} for ${asked.abort_percent} %`, at: iso(Date.now()), expires_at: iso(Date.now() + asked.seconds * 1000), temporary: true, by: 'admin' };
    faults.push(fault);
    setTimeout(() => faults.includes(fault) && faults.splice(faults.indexOf(fault), 1), asked.seconds * 1000).unref();
    return json(fault);
  }
  if (req.method === 'DELETE' && what[0] === 'faults') {
    const i = faults.findIndex((f) => f.id === what[1]);
    if (i >= 0) faults.splice(i, 1);
    return json({ id: what[1] });
  }
  switch (what[0]) {
    case 'stream': {
      const topics = (url.searchParams.get('topics') ?? '').split(',').filter(Boolean);
      const all = (say) => topics.forEach((t) => { const d = doc(t); if (d) say(t, d); });
      return stream(all, every, all);
    }
    case 'tap': { let i = 0; const n = Math.min(20, Number(url.searchParams.get('max_rps') ?? 100)); return stream((say) => say('stats', { data_planes: 9, sent: 0, dropped: 0, sampled: 1 }), every / 2, (say) => { for (let k = 0; k < n / 2; k++) say('request', request(i++)); say('stats', { data_planes: 9, sent: i, dropped: 12, sampled: 0.25 }); }); }
    case 'top': return stream((say) => say('top', top()), every, (say) => say('top', top()));
    case 'services': { const d = doc(`service:${what[1]}/${what[2]}`); return d ? json(d) : json({ title: 'Not found', detail: `There is no Service ${what[1]}/${what[2]}.` }, 404); }
    case 'golden': return json(enveloped([series(url.searchParams, from, to)], Number(url.searchParams.get('step_s') ?? 10)));
    case 'security': { const d = { at: iso(Date.now()), window_s: seconds, ...security(), denials: undefined }; return json(past ? asPast('security', d, from, to) : d); }
    case 'denials': return json(enveloped(security().denials, 60));
    // How much the streams have said, for tests of the page's memory.
    case 'mock': return json({ said });
    case 'info': return json(info());
    case 'traces': return what[1] ? json(trace(what[1])) : json(enveloped(traces().filter((t) => (url.searchParams.get('failed') !== 'true' || t.failed) && !(t.at < url.searchParams.get('from')) && !(url.searchParams.has('to') && t.at >= url.searchParams.get('to')))));
    default: { const d = doc(what[0]); return d ? json(d) : json({ title: 'Not found', detail: `'${path}' is not here.` }, 404); }
  }
});
server.listen(port, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/` })));
// Ends with whoever started it, when it was told to by a pipe.
if (args.includes('--watch-stdin')) process.stdin.resume().on('end', () => process.exit(0));
