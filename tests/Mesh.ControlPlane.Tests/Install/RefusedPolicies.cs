namespace Mesh.ControlPlane.Tests.Install;

/// <summary>Who refuses a policy in a cluster first.</summary>
internal enum RefusedBy
{
    /// <summary>The schema's types, bounds and patterns.</summary>
    Schema,

    /// <summary>A rule of the schema (CEL).</summary>
    Rule,

    /// <summary>Only the reader, which the webhook asks: schemas have no words for it, or they would cost too much.</summary>
    Webhook,
}

/// <summary>Policies that no reader takes.</summary>
internal static class RefusedPolicies
{
    private const string Service = "targetRefs: [{group: \"\", kind: Service, name: catalog}]\n";
    private const string Route = "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: catalog}]\n";

    /// <summary>What is wrong, kind, spec.</summary>
    public static readonly (string What, string Kind, string Spec, RefusedBy By)[] All =
    [
        ("no targets", "TimeoutPolicy", "request: 1s", RefusedBy.Schema),
        ("an empty list of targets", "TimeoutPolicy", "targetRefs: []\nrequest: 1s", RefusedBy.Schema),
        ("a target of another kind", "LoadBalancingPolicy", Route + "algorithm: Random", RefusedBy.Schema),
        ("a target without group", "TimeoutPolicy", "targetRefs: [{kind: Service, name: catalog}]\nrequest: 1s", RefusedBy.Schema),
        ("the wrong group", "TimeoutPolicy", "targetRefs: [{group: gateway.networking.k8s.io, kind: Service, name: catalog}]\nrequest: 1s", RefusedBy.Rule),
        ("another namespace", "TimeoutPolicy", "targetRefs: [{group: \"\", kind: Service, name: catalog, namespace: other}]\nrequest: 1s", RefusedBy.Rule),
        ("a section of a namespace", "TimeoutPolicy", "targetRefs: [{group: \"\", kind: Namespace, name: shop, sectionName: http}]\nrequest: 1s", RefusedBy.Rule),
        ("a target twice", "TimeoutPolicy", "targetRefs: [{group: \"\", kind: Service, name: a}, {group: \"\", kind: Service, name: a}]\nrequest: 1s", RefusedBy.Rule),
        ("a namespace that is not its own", "TimeoutPolicy", "targetRefs: [{group: \"\", kind: Namespace, name: other}]\nrequest: 1s", RefusedBy.Webhook),
        ("nothing but targets", "TimeoutPolicy", Service, RefusedBy.Rule),
        ("nothing in what is there", "RetryPolicy", Service + "backoff: {}", RefusedBy.Rule),
        ("no duration", "TimeoutPolicy", Service + "request: soon", RefusedBy.Schema),
        ("a connection in no time", "TimeoutPolicy", Service + "connect: 0s", RefusedBy.Schema),
        ("an attempt longer than the call", "TimeoutPolicy", Service + "request: 1s\nattempt: 1500ms", RefusedBy.Rule),
        ("headers later than the call", "TimeoutPolicy", Service + "request: 1s\nresponseHeaders: 1m", RefusedBy.Rule),
        ("connect of a route", "TimeoutPolicy", Route + "connect: 1s", RefusedBy.Rule),
        ("too many attempts", "RetryPolicy", Service + "attempts: 5", RefusedBy.Schema),
        ("an unknown condition", "RetryPolicy", Service + "retryOn: [sometimes]", RefusedBy.Schema),
        ("a good status", "RetryPolicy", Service + "statusCodes: [200]", RefusedBy.Schema),
        ("a header twice", "RetryPolicy", Service + "headers: [{name: X-A, value: a}, {name: x-a, value: b}]", RefusedBy.Rule),
        ("a header with a blank", "RetryPolicy", Service + "headers: [{name: x a, value: a}]", RefusedBy.Schema),
        ("an expression that is none", "RetryPolicy", Service + "headers: [{name: x-a, value: \"(\", type: RegularExpression}]", RefusedBy.Webhook),
        ("a backoff that shrinks", "RetryPolicy", Service + "backoff: {base: 2s, max: 1s}", RefusedBy.Rule),
        ("a budget of a route", "RetryPolicy", Route + "budget: {percent: 10}", RefusedBy.Rule),
        ("hedging without a time", "RetryPolicy", Service + "hedging: {maxAttempts: 3}", RefusedBy.Rule),
        ("an unknown algorithm", "LoadBalancingPolicy", Service + "algorithm: Best", RefusedBy.Schema),
        ("settings of another algorithm", "LoadBalancingPolicy", Service + "algorithm: Random\nleastRequest: {choices: 2}", RefusedBy.Rule),
        ("a ring without hash", "LoadBalancingPolicy", Service + "algorithm: RingHash", RefusedBy.Rule),
        ("a ring of nothing", "LoadBalancingPolicy", Service + "ringHash: {hashOn: []}", RefusedBy.Schema),
        ("a hash of two", "LoadBalancingPolicy", Service + "ringHash: {hashOn: [{header: x, client: true}]}", RefusedBy.Rule),
        ("a ring that shrinks", "LoadBalancingPolicy", Service + "ringHash: {minSize: 10, maxSize: 5, hashOn: [{client: true}]}", RefusedBy.Rule),
        ("slow start of a ring", "LoadBalancingPolicy", Service + "algorithm: Random\nslowStart: {window: 5s}", RefusedBy.Rule),
        ("too much aggression", "LoadBalancingPolicy", Service + "slowStart: {window: 5s, aggression: 11}", RefusedBy.Schema),
        ("two probes", "OutlierPolicy", Service + "healthCheck: {tcp: {}, grpc: {}}", RefusedBy.Rule),
        ("a path without slash", "OutlierPolicy", Service + "healthCheck: {http: {path: healthz}}", RefusedBy.Schema),
        ("a range backwards", "OutlierPolicy", Service + "healthCheck: {http: {path: /, statuses: [\"300-200\"]}}", RefusedBy.Rule),
        ("an ejection that shrinks", "OutlierPolicy", Service + "baseEjectionTime: 1m\nmaxEjectionTime: 1s", RefusedBy.Rule),
        ("no limits", "RateLimitPolicy", Service, RefusedBy.Schema),
        ("a limit in no time", "RateLimitPolicy", Service + "limits: [{name: a, requests: 1}]", RefusedBy.Schema),
        ("a quota", "RateLimitPolicy", Service + "limits: [{name: a, requests: 1, interval: 25h}]", RefusedBy.Rule),
        ("a limit twice", "RateLimitPolicy", Service + "limits: [{name: a, requests: 1, interval: 1s}, {name: a, requests: 1, interval: 1s}]", RefusedBy.Rule),
        ("per a header without one", "RateLimitPolicy", Service + "limits: [{name: a, requests: 1, interval: 1s, per: Header}]", RefusedBy.Rule),
        ("a header for nothing", "RateLimitPolicy", Service + "limits: [{name: a, requests: 1, interval: 1s, header: x}]", RefusedBy.Rule),
        ("a wait that nobody waits", "ConcurrencyPolicy", Service + "server: {maxRequests: 1, queueTimeout: 11m}", RefusedBy.Rule),
        ("no requests at all", "ConcurrencyPolicy", Service + "server: {maxRequests: 0}", RefusedBy.Schema),
        ("a fault without end", "FaultPolicy", Service + "delay: {fixed: 1s}", RefusedBy.Schema),
        ("an end that is no time", "FaultPolicy", Service + "delay: {fixed: 1s}\nexpiresAt: tomorrow", RefusedBy.Schema),
        ("a day that is none", "FaultPolicy", Service + "delay: {fixed: 1s}\nexpiresAt: \"2030-02-30T00:00:00Z\"", RefusedBy.Webhook),
        ("two statuses", "FaultPolicy", Service + "abort: {httpStatus: 500, grpcStatus: 1}\nexpiresAt: Never", RefusedBy.Rule),
        ("no fault", "FaultPolicy", Service + "delay: {percent: 5}\nexpiresAt: Never", RefusedBy.Rule),
        ("a delay twice said", "FaultPolicy", Service + "headerDriven: true\ndelay: {fixed: 1s}\nexpiresAt: Never", RefusedBy.Rule),
        ("a status twice said", "FaultPolicy", Service + "headerDriven: true\nabort: {httpStatus: 500}\nexpiresAt: Never", RefusedBy.Rule),
        ("nobody", "MatchPolicy", Route + "callers: []", RefusedBy.Schema),
        ("a template without slash", "MatchPolicy", Route + "pathTemplate: users", RefusedBy.Schema),
        ("an empty segment", "MatchPolicy", Route + "pathTemplate: /a//b", RefusedBy.Rule),
        ("six variables", "MatchPolicy", Route + "pathTemplate: \"/{a}/{b}/{c}/{d}/{e}/{f}\"", RefusedBy.Rule),
        ("a variable twice", "MatchPolicy", Route + "pathTemplate: \"/{a}/{a}\"", RefusedBy.Webhook),
        ("more after the rest", "MatchPolicy", Route + "pathTemplate: \"/**/{a}\"", RefusedBy.Rule),
        ("labels and names", "ServerPolicy", Service + "selector: {matchLabels: {a: b}}\nmtls: Strict", RefusedBy.Rule),
        ("neither labels nor names", "ServerPolicy", "mtls: Strict", RefusedBy.Rule),
        ("no labels", "ServerPolicy", "selector: {matchLabels: {}}\nmtls: Strict", RefusedBy.Schema),
        ("a label's name that is none", "ServerPolicy", "selector: {matchLabels: {-a: b}}\nmtls: Strict", RefusedBy.Webhook),
        ("nothing of a server", "ServerPolicy", Service, RefusedBy.Rule),
        ("no rules", "AuthorizationPolicy", Service + "mode: Audit", RefusedBy.Schema),
        ("a rule without action", "AuthorizationPolicy", Service + "rules: [{from: [{namespaces: [a]}]}]", RefusedBy.Schema),
        ("a rule called by a number", "AuthorizationPolicy", Service + "rules: [{name: \"1\", action: Deny}]", RefusedBy.Schema),
        ("a rule twice", "AuthorizationPolicy", Service + "rules: [{name: a, action: Deny}, {name: a, action: Allow}]", RefusedBy.Rule),
        ("an entry that names nobody", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{}]}]", RefusedBy.Schema),
        ("an identity of nobody", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{authenticated: false, namespaces: [a]}]}]", RefusedBy.Rule),
        ("a wildcard within a segment", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{identities: [\"spiffe://a/b*\"]}]}]", RefusedBy.Webhook),
        ("a network with bits beyond", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{networks: [{cidr: 10.0.0.1/8}]}]}]", RefusedBy.Webhook),
        ("a network that is none", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{networks: [{cidr: home}]}]}]", RefusedBy.Schema),
        ("a claim of any and one", "AuthorizationPolicy", Service + "rules: [{action: Allow, from: [{claims: [{name: a, values: [\"*\", b]}]}]}]", RefusedBy.Webhook),
        ("a method in lower case", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{methods: [get]}]}]", RefusedBy.Schema),
        ("a path with a query", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{paths: [\"/a?b\"]}]}]", RefusedBy.Schema),
        ("a path with a dot segment", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{paths: [/a/../b]}]}]", RefusedBy.Schema),
        ("a path with a needless escape", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{paths: [\"/%41\"]}]}]", RefusedBy.Webhook),
        ("a host with a port", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{hosts: [\"a:80\"]}]}]", RefusedBy.Schema),
        ("a header of the connection", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{headers: [{name: te, type: Present}]}]}]", RefusedBy.Schema),
        ("a value of any value", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{headers: [{name: a, value: b, type: Present}]}]}]", RefusedBy.Schema),
        ("a header without value", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{headers: [{name: a}]}]}]", RefusedBy.Schema),
        ("gRPC and paths", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{grpc: [{service: a.B}], paths: [/a]}]}]", RefusedBy.Rule),
        ("port 0", "AuthorizationPolicy", Service + "rules: [{action: Allow, to: [{ports: [0]}]}]", RefusedBy.Schema),
        ("an issuer without keys", "RequestAuthentication", Service + "jwt: [{issuer: a}]", RefusedBy.Rule),
        ("keys twice", "RequestAuthentication", Service + "jwt: [{issuer: a, jwksUri: \"https://a/b\", jwks: \"{}\"}]", RefusedBy.Rule),
        ("keys in the clear", "RequestAuthentication", Service + "jwt: [{issuer: a, jwksUri: \"http://a/b\"}]", RefusedBy.Schema),
        ("keys that are none", "RequestAuthentication", Service + "jwt: [{issuer: a, jwks: \"{}\"}]", RefusedBy.Webhook),
        ("a claim over a header with a meaning", "RequestAuthentication", Service + "jwt: [{issuer: a, jwksUri: \"https://a/b\", claimHeaders: [{claim: sub, header: cookie}]}]", RefusedBy.Webhook),
        ("two claims in one header", "RequestAuthentication", Service + "jwt: [{issuer: a, jwksUri: \"https://a/b\", claimHeaders: [{claim: sub, header: x}, {claim: iss, header: x}]}]", RefusedBy.Webhook),
        ("no status", "DirectResponse", "body: a", RefusedBy.Schema),
        ("a status of waiting", "DirectResponse", "status: 100", RefusedBy.Schema),
        ("a body of too many bytes", "DirectResponse", $"status: 200\nbody: \"{new string('\u00e9', 2049)}\"", RefusedBy.Rule),
        ("a type that is none", "DirectResponse", "status: 200\ncontentType: text", RefusedBy.Schema),
    ];

    public static string Yaml(string kind, string spec) => $"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: {kind}
        metadata: {"{"}name: x, namespace: shop{"}"}
        spec:
          {spec.TrimEnd('\n').Replace("\n", "\n  ", StringComparison.Ordinal)}
        """;
}
