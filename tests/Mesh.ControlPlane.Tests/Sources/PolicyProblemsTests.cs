using Mesh.ControlPlane.Model.Policies;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>Each bad policy is told with its line, what is wrong with it and what to do.</summary>
public class PolicyProblemsTests
{
    private const string ToService = "  targetRefs: [{group: \"\", kind: Service, name: cart}]\n";
    private const string ToRoute = "  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart}]\n";

    [Theory]
    [InlineData("RetryPolicy", "  attempts: 1\n", "in.yaml:5", "spec.targetRefs has 0 entries. Name 1–16 targets: Service, Namespace, HTTPRoute, GRPCRoute.")]
    [InlineData("RetryPolicy", "  targetRefs: [{kind: Service, name: cart}]\n  attempts: 1\n", "in.yaml:5", "spec.targetRefs[0].group is missing")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: apps, kind: Service, name: cart}]\n  attempts: 1\n", "in.yaml:5", "A Service is in the core group: write group: \"\".")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: HTTPRoute, name: cart}]\n  attempts: 1\n", "in.yaml:5", "Write group: gateway.networking.k8s.io for kind HTTPRoute.")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: Servise, name: cart}]\n  attempts: 1\n", "in.yaml:5", "Did you mean 'Service'?")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: Service, name: cart, namespace: other}]\n  attempts: 1\n", "in.yaml:5", "A policy is attached in its own namespace ('shop') only")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: Namespace, name: other}]\n  attempts: 1\n", "in.yaml:5", "use 'shop', or move the policy")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: Namespace, name: shop, sectionName: x}]\n  attempts: 1\n", "in.yaml:5", "A Namespace has no sections")]
    [InlineData("RetryPolicy", "  targetRefs: [{group: \"\", kind: Service, name: cart}, {group: \"\", kind: Service, name: cart}]\n  attempts: 1\n", "in.yaml:5", "names Service 'cart' twice")]
    [InlineData("LoadBalancingPolicy", ToRoute + "  algorithm: Random\n", "in.yaml:5", "spec.targetRefs[0].kind is 'HTTPRoute'. Use Service, Namespace.")]
    [InlineData("MatchPolicy", ToService + "  pathTemplate: /a\n", "in.yaml:5", "spec.targetRefs[0].kind is 'Service'. Use HTTPRoute, GRPCRoute.")]
    [InlineData("RetryPolicy", ToService, "in.yaml:5", "spec says nothing but its targets.")]
    [InlineData("RetryPolicy", ToService + "  atempts: 1\n", "in.yaml:6", "spec.atempts is not a field. Did you mean 'attempts'?")]
    [InlineData("RetryPolicy", ToService + "  attempts: 5\n", "in.yaml:6", "spec.attempts is '5'. Use a whole number from 0 to 4.")]
    [InlineData("RetryPolicy", ToService + "  retryOn: [5xx, conect-failure]\n", "in.yaml:6", "spec.retryOn[1] is 'conect-failure'. Use 5xx, gateway-error")]
    [InlineData("RetryPolicy", ToService + "  retryOn: [retriable-status-codes]\n", "in.yaml:6", "Leave it out: statusCodes says it.")]
    [InlineData("RetryPolicy", ToService + "  statusCodes: [200]\n", "in.yaml:6", "Write a list of status codes from 400 to 599.")]
    [InlineData("RetryPolicy", ToService + "  statusCodes: 503\n", "in.yaml:6", "Write a list of status codes from 400 to 599.")]
    [InlineData("RetryPolicy", ToService + "  backoff: {base: 1s, max: 10ms}\n", "in.yaml:6", "spec.backoff.base is '1s'. It cannot be longer than backoff.max (10ms).")]
    [InlineData("RetryPolicy", ToService + "  backoff: {base: 0s}\n", "in.yaml:6", "spec.backoff.base is '0s'. Use more than 0.")]
    [InlineData("RetryPolicy", ToRoute + "  budget: {percent: 10}\n", "in.yaml:6", "spec.budget holds for all callers of a Service and not for one route.")]
    [InlineData("RetryPolicy", ToService + "  hedging: {maxAttempts: 2}\n", "in.yaml:6", "spec.hedging.percentile is missing. Say when the next attempt is sent")]
    [InlineData("RetryPolicy", ToService + "  hedging: {percentile: 20}\n", "in.yaml:6", "Use a whole number from 50 to 99.")]
    [InlineData("TimeoutPolicy", ToService + "  request: 5\n", "in.yaml:6", "spec.request is '5'")]
    [InlineData("TimeoutPolicy", ToService + "  request: 1s\n  attempt: 2s\n", "in.yaml:7", "spec.attempt is '2s'. It cannot be longer than request (1s).")]
    [InlineData("TimeoutPolicy", ToService + "  connect: 0s\n", "in.yaml:6", "spec.connect is '0s'. Use more than 0.")]
    [InlineData("TimeoutPolicy", ToRoute + "  connect: 1s\n", "in.yaml:6", "spec.connect holds for all callers of a Service")]
    [InlineData("LoadBalancingPolicy", ToService + "  algorithm: RingHsh\n", "in.yaml:6", "Did you mean 'RingHash'?")]
    [InlineData("LoadBalancingPolicy", ToService + "  algorithm: RingHash\n", "in.yaml:5", "spec.ringHash is missing. Add ringHash.hashOn")]
    [InlineData("LoadBalancingPolicy", ToService + "  ringHash: {minSize: 8, hashOn: []}\n", "in.yaml:6", "spec.ringHash.hashOn is missing.")]
    [InlineData("LoadBalancingPolicy", ToService + "  ringHash: {minSize: 8, maxSize: 4, hashOn: [{client: true}]}\n", "in.yaml:6", "spec.ringHash.minSize is '8'. It must not be above maxSize.")]
    [InlineData("LoadBalancingPolicy", ToService + "  ringHash: {hashOn: [{header: a, client: true}]}\n", "in.yaml:6", "give exactly one, a header's name or client: true.")]
    [InlineData("LoadBalancingPolicy", ToService + "  ringHash: {hashOn: [{cookie: a}]}\n", "in.yaml:6", "spec.ringHash.hashOn[0].cookie is not a field.")]
    [InlineData("LoadBalancingPolicy", ToService + "  algorithm: Random\n  leastRequest: {choices: 3}\n", "in.yaml:7", "spec.leastRequest has no effect with algorithm Random.")]
    [InlineData("LoadBalancingPolicy", ToService + "  algorithm: Random\n  slowStart: {window: 3s}\n", "in.yaml:7", "spec.slowStart has no effect with algorithm Random.")]
    [InlineData("LoadBalancingPolicy", ToService + "  slowStart: {aggression: 0}\n", "in.yaml:6", "spec.slowStart.aggression is '0'. Use a number from 0.1 to 10.")]
    [InlineData("LoadBalancingPolicy", ToService + "  locality: Near\n", "in.yaml:6", "spec.locality is 'Near'. Use PreferNear, Any.")]
    [InlineData("LoadBalancingPolicy", ToService + "  connections: {warm: 9}\n", "in.yaml:6", "spec.connections.warm is '9'. Use a whole number from 0 to 8.")]
    [InlineData("OutlierPolicy", ToService + "  maxEjectionPercent: 101\n", "in.yaml:6", "spec.maxEjectionPercent is '101'")]
    [InlineData("OutlierPolicy", ToService + "  baseEjectionTime: 2m\n  maxEjectionTime: 1m\n", "in.yaml:6", "It cannot be longer than maxEjectionTime (1m).")]
    [InlineData("OutlierPolicy", ToService + "  healthCheck: {tcp: {}, grpc: {}}\n", "in.yaml:6", "spec.healthCheck has grpc and tcp. Keep one of http, grpc, tcp and none.")]
    [InlineData("OutlierPolicy", ToService + "  healthCheck: {http: {path: healthz}}\n", "in.yaml:6", "Use a path that starts with '/'")]
    [InlineData("OutlierPolicy", ToService + "  healthCheck: {http: {path: /, statuses: [\"200-100\"]}}\n", "in.yaml:6", "Use a status or a range in quotes")]
    [InlineData("RateLimitPolicy", ToService + "  limit: []\n", "in.yaml:5", "spec.limits is missing.")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, interval: 1s}]\n", "in.yaml:6", "spec.limits[0].requests is missing.")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, requests: 1}]\n", "in.yaml:6", "spec.limits[0].interval is missing.")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, requests: 1, interval: 48h}]\n", "in.yaml:6", "Use at most 24h")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, requests: 1, interval: 1s, per: Header}]\n", "in.yaml:6", "spec.limits[0].header is missing.")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, requests: 1, interval: 1s, header: x}]\n", "in.yaml:6", "It has no effect without per: Header.")]
    [InlineData("RateLimitPolicy", ToService + "  limits: [{name: a, requests: 1, interval: 1s}, {name: a, requests: 1, interval: 1s}]\n", "in.yaml:6", "Another limit of this policy has that name")]
    [InlineData("FaultPolicy", ToService + "  delay: {fixed: 1s}\n", "in.yaml:5", "spec.expiresAt is missing. Give the moment at which the fault ends")]
    [InlineData("FaultPolicy", ToService + "  delay: {fixed: 1s}\n  expiresAt: tomorrow\n", "in.yaml:7", "spec.expiresAt is 'tomorrow'. Give the moment")]
    [InlineData("FaultPolicy", ToService + "  delay: {fixed: 1s}\n  expiresAt: 2030-01-31T12:00:00\n", "in.yaml:7", "(RFC 3339, such as 2030-01-31T12:00:00Z)")]
    [InlineData("FaultPolicy", ToService + "  delay: {percent: 3}\n  expiresAt: Never\n", "in.yaml:5", "spec has no fault.")]
    [InlineData("FaultPolicy", ToService + "  headerDriven: true\n  delay: {fixed: 1s}\n  expiresAt: Never\n", "in.yaml:7", "With headerDriven: true the request's header tells the delay.")]
    [InlineData("FaultPolicy", ToService + "  abort: {httpStatus: 503, grpcStatus: 14}\n  expiresAt: Never\n", "in.yaml:6", "spec.abort has httpStatus and grpcStatus. Keep one")]
    [InlineData("FaultPolicy", "  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n  headerDriven: true\n  expiresAt: Never\n", "in.yaml:5", "Use Service, HTTPRoute, GRPCRoute.")]
    [InlineData("ConcurrencyPolicy", ToService + "  server: {maxRequests: 0}\n", "in.yaml:6", "spec.server.maxRequests is '0'")]
    [InlineData("ConcurrencyPolicy", ToService + "  server: {queueTimeout: 1h}\n", "in.yaml:6", "It cannot be longer than 10 minutes")]
    [InlineData("MatchPolicy", ToRoute + "  callers: []\n", "in.yaml:6", "spec.callers is empty: nobody would be left.")]
    [InlineData("MatchPolicy", ToRoute + "  callers: [{namespace: Shop}]\n", "in.yaml:6", "spec.callers[0].namespace is 'Shop'.")]
    [InlineData("MatchPolicy", ToRoute + "  pathTemplate: users\n", "in.yaml:6", "spec.pathTemplate is 'users'. Start it with '/'.")]
    [InlineData("MatchPolicy", ToRoute + "  pathTemplate: /users/x{id}\n", "in.yaml:6", "Use segments such as users, *, {id} or {rest=**}")]
    [InlineData("MatchPolicy", ToRoute + "  pathTemplate: /users/{id}/{id}\n", "in.yaml:6", "It names a variable twice.")]
    [InlineData("MatchPolicy", ToRoute + "  pathTemplate: /{a}/{b}/{c}/{d}/{e}/{f}\n", "in.yaml:6", "It has 6 variables. Use at most 5.")]
    [InlineData("MatchPolicy", ToRoute + "  pathTemplate: /{rest=**}/{id}\n", "in.yaml:6", "Nothing but literals may stand after '**'.")]
    public void BadPolicy_IsRefused_WithLineReasonAndFix(string kind, string spec, string where, string what)
    {
        var model = Manifests.Model($"apiVersion: policy.meshlib.io/v1alpha1\nkind: {kind}\nmetadata: {{name: p, namespace: shop}}\nspec:\n{spec}");

        Assert.Contains(model.Problems, p => p.Where == where && p.What.Contains(what, StringComparison.Ordinal));
        var policy = Assert.Single(model.Policies);
        Assert.Empty(policy.Values);
        Assert.NotNull(policy.Invalid);
    }

    [Fact]
    public void WrongApiVersion_IsRefused_WithTheRightOne()
    {
        var model = Manifests.Model("apiVersion: policy.meshlib.io/v1\nkind: RetryPolicy\nmetadata: {name: p}\nspec: {}\n");

        Assert.Contains("Use 'policy.meshlib.io/v1alpha1' for kind RetryPolicy.", Assert.Single(model.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void RetryOnWords_AreThoseThatTheCoreKnows()
    {
        // What the core gets no meaning of it drops: every word must leave something.
        foreach (var word in RetrySettings.Words)
        {
            var errors = new Mesh.Xds.Decoding.DecodeErrors();
            Assert.NotNull(Mesh.Xds.Decoding.RetryPolicyDecoder.Decode(new Mesh.Protos.Envoy.Route.RetryPolicy { RetryOn = word, NumRetries = 1 }, "p", errors));
        }
    }
}
