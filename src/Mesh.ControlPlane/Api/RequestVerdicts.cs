using System.Collections.Immutable;
using System.Net;
using Google.Protobuf;
using Mesh.Config;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Translation;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Routing;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Route = Mesh.Config.Route;
using ServiceEndpoint = Mesh.ControlPlane.Model.ServiceEndpoint;

namespace Mesh.ControlPlane.Api;

/// <summary>Decides about a request that nobody makes as the data plane would: the resources that its nodes are sent, through the same decoders, tables and engine.</summary>
internal sealed class RequestVerdicts(MeshModel model, ServerDefaults defaults, IResourceTranslator translator, TrustDomain trustDomain, ResourceNames names)
{
    private const string NoRoute = "default";
    /// <summary>Of one Service: those of one Service are hardly ever judged by different rules.</summary>
    private const int MostEndpoints = 100;

    private static readonly Certain Chance = new();
    private readonly AuthorizationIndex _index = new(model, defaults);

    public ExplainedRequest Of(AskedRequest request, ServiceName service, int port)
    {
        var arriving = request;
        var routing = request.Caller is { } caller ? Route(request, caller, service, port, out arriving) : null;
        (ServiceName Service, int Port)[] targets = routing is null ? [(service, port)] : [.. routing.Backends.Where(b => b.Valid).Select(b => (new ServiceName(b.Namespace, b.Service), b.Port))];
        ExplainedVerdict[] verdicts = [.. targets.SelectMany(t => Judge(arriving, t.Service, t.Port))];
        return new ExplainedRequest(
            request.Caller?.ToString(), service.Name, service.Namespace, port, request.Method, request.Query.Length == 0 ? request.Path : $"{request.Path}?{request.Query}",
            verdicts.Length == 0 ? null : verdicts.All(v => v.Allowed), routing, verdicts);
    }

    /// <param name="arriving">As servers see it.</param>
    private ExplainedRouting Route(AskedRequest request, SpiffeId caller, ServiceName service, int port, out AskedRequest arriving)
    {
        arriving = request;
        var node = new NodeContext("mesh-explain", caller.Namespace ?? service.Namespace, caller) { IsMesh = true };
        var routes = Decode<RouteConfiguration>(node, XdsTypes.RouteConfiguration, names.Listener(service, port));
        if (new RouteTable<Route>(routes, r => r).Find(request.Authority)?.Match(request, Chance) is not { } route)
        {
            return new ExplainedRouting("none", null, "answered 404: no route takes it", []);
        }

        if (route.Action is RouteAction.Forward { PathRewrite: var path, HostRewrite: var host } && (path is not null || host is not null))
        {
            arriving = request.Arrived(path is null ? request.Path : PathRewriter.Rewrite(path, route.Match, request.Path), host, fromStranger: false);
        }

        var (action, clusters) = route.Action switch
        {
            RouteAction.Forward forward => ("forwarded", forward.Clusters),
            RouteAction.Redirect redirect => ($"answered {redirect.Status}: redirected", []),
            RouteAction.DirectResponse direct => ($"answered {direct.Status}{(direct.Body.Length > 0 ? $": {direct.Body}" : string.Empty)}", []),
            RouteAction.NotForwarding not => (not.Reason, []),
            _ => ("unknown", (IReadOnlyList<Config.WeightedCluster>)[]),
        };
        return new ExplainedRouting(route.Name, route.Name == NoRoute ? null : RuleOf(route.Name)?.Where, action, [.. clusters.Select(Backend)]);
    }

    private ExplainedBackend Backend(Config.WeightedCluster cluster) => names.TryCluster(cluster.Name, out var service, out var port, out _)
        ? new ExplainedBackend(service.Namespace, service.Name, port, cluster.Weight, model.Services.ContainsKey(service))
        : new ExplainedBackend(string.Empty, cluster.Name, 0, cluster.Weight, Valid: false);

    /// <summary>The rule that a route on the wire was written from: <c>namespace/route/rule</c>.</summary>
    private RouteRule? RuleOf(string name) => name.Split('/') is [var ns, var route, var rule]
        ? model.Routes.Where(r => r.Namespace == ns && r.Name == route)
            .SelectMany(r => r.Rules.Where((x, i) => x.Name == rule || (x.Name.Length == 0 && i.ToString(System.Globalization.CultureInfo.InvariantCulture) == rule))).FirstOrDefault()
        : null;

    private IEnumerable<ServiceEndpoint> EndpointsOf(ServiceName service, int port) =>
        model.Services.TryGetValue(service, out var found) && found.Ports.FirstOrDefault(p => p.Port == port) is { } named
            ? found.Endpoints.Where(e => e.PortName == named.Name).Take(MostEndpoints)
            : [];

    /// <summary>One of those that judge alike speaks for all.</summary>
    private IEnumerable<ExplainedVerdict> Judge(AskedRequest request, ServiceName service, int port) =>
        from endpoint in EndpointsOf(service, port)
        let verdict = Judge(request, service, port, endpoint, _index.At(service.Namespace, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port))
        group verdict by (verdict.Plaintext, verdict.Allowed, verdict.Stage, verdict.Decision, verdict.Where, verdict.Audit) into alike
        select alike.First() with { Endpoints = [.. alike.SelectMany(v => v.Endpoints)] };

    private ExplainedVerdict Judge(AskedRequest request, ServiceName service, int port, ServiceEndpoint endpoint, EffectiveAuthorization holds)
    {
        var identity = SpiffeId.ForServiceAccount(trustDomain, service.Namespace, endpoint.ServiceAccount ?? "default");
        var node = new NodeContext("mesh-explain", service.Namespace, identity) { IsMesh = true };
        var listener = Decode<Listener>(node, XdsTypes.Listener, XdsTypes.InboundPrefix + endpoint.HostPort);
        // Who has an identity uses it wherever the other side is in the mesh.
        var plaintext = request.Caller is null || !endpoint.Meshed;
        if (plaintext)
        {
            request = request.Arrived(request.Path, host: null, fromStranger: true);
        }

        var policy = InboundPolicy.From(listener, null, new LimitStates([], new Resilience.ServerLimits(null, null, null), TimeProvider.System), null, TimeProvider.System);
        if (plaintext && !policy.Plaintext)
        {
            return Verdict(false, "plaintext", "refused: the port takes mesh TLS only", null, [], null);
        }

        if (request.IsAmbiguous && policy.Guards(!plaintext).IsGuarded)
        {
            return Verdict(false, "ambiguous", "refused with 400: the path can be read in more than one way (Mesh:Server:AmbiguousPaths)", null, [], null);
        }

        if (policy.Authorizer(!plaintext) is not { } authorizer)
        {
            return Verdict(true, "none", PolicyDecision.Unrestricted.ToString(), null, [], null);
        }

        var engine = policy.IsOpaque(!plaintext) ? authorizer.Connections : authorizer.For(request, Chance);
        var connection = new RbacConnection(
            plaintext || request.Caller is null ? null : new RbacCaller(request.Caller), request.Source, new IPEndPoint(IPAddress.Parse(endpoint.Address), endpoint.Port));
        var judged = new RbacRequest(request, connection, request.ClaimsFor(holds.Issuers.Select(i => i.Key)));
        var explanation = engine.Explain(judged);
        var audit = engine.HasShadow ? engine.ExplainShadow(judged).Summary : null;
        return Verdict(
            explanation.Decision.IsAllowed, explanation.Decision.Stage.ToString().ToLowerInvariant(), explanation.Decision.ToString(), explanation.Decision.Rule,
            [.. explanation.Nearest.Select(n => new ExplainedNearRule(n.Rule, WhereOf(n.Rule, holds), n.Failed))], audit);

        ExplainedVerdict Verdict(bool allowed, string stage, string decision, string? rule, IReadOnlyList<ExplainedNearRule> nearest, string? shadow) => new(
            service.Name, service.Namespace, port, [endpoint.HostPort], plaintext, allowed, stage, decision, rule, rule is null ? null : WhereOf(rule, holds), nearest, shadow);
    }

    /// <summary>File and line of a rule by its name on the wire; null where it stands in none (probes).</summary>
    private static string? WhereOf(string rule, EffectiveAuthorization holds) =>
        holds.All.FirstOrDefault(r => r.Name == rule)?.Rule.Where
        ?? (rule.StartsWith("default/", StringComparison.Ordinal) ? holds.Sources.GetValueOrDefault(ServerSettings.Access)?.Where ?? "the control plane's --access" : null);

    private T Decode<T>(NodeContext node, string type, string name)
        where T : class
    {
        var (message, reason) = translator.Translate(model, node, type, name);
        if (message is null)
        {
            throw new InvalidOperationException($"'{name}' can't be translated: {reason}");
        }

        var decoded = ResourceDecoder.Decode(type, message.ToByteString());
        return decoded.Model as T ?? throw new InvalidOperationException($"'{name}' can't be decoded: {string.Join(' ', decoded.Errors)}");
    }

    /// <summary>A share of the calls is none of them, unless it is all.</summary>
    private sealed class Certain : Random
    {
        public override int Next(int maxValue) => maxValue - 1;
    }
}
