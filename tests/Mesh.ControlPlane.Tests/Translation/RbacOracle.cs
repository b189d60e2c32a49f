using System.Net;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Rbac;
using Mesh.Protos.Envoy.Route;
using HttpRbac = Mesh.Protos.Envoy.Filters.RBAC;

namespace Mesh.ControlPlane.Tests.Translation;

/// <param name="Caller">A SPIFFE ID; empty in plaintext.</param>
internal sealed record AskedRequest(string Caller, string Method, string Path)
{
    public string Ip { get; init; } = "10.0.0.9";

    public string Host { get; init; } = "cart.shop";

    public Dictionary<string, string> Headers { get; init; } = [];

    public Dictionary<string, string> Query { get; init; } = [];
}

/// <summary>Asks what was translated as gRFC A41 says, word by word and without any cleverness. Claims never match, as there.</summary>
internal static class RbacOracle
{
    /// <summary>The name of the rule that refused, or that let in; <c>allowed</c> names none, <c>unmatched</c> is refused by no rule.</summary>
    public static (bool Allowed, string By) Ask(MeshModel model, ServerDefaults defaults, string ns, string address, int port, AskedRequest request, bool forMesh = true)
    {
        var place = new AuthorizationIndex(model, defaults).At(ns, null, [address], port);
        var translator = new AuthorizationTranslator(Manifests.TrustDomain, defaults);
        var (policies, audience) = (new EffectivePolicies(model), forMesh ? RuleAudience.OfMesh : new RuleAudience(IsMesh: false, IsHttp: true, KnowsNetworks: true));
        return Ask(ListenerTranslator.InboundHttp(translator.Filters(place, policies, audience), translator.Routes(place, policies, audience)).TypedConfig.Unpack<HttpConnectionManager>(), request);
    }

    public static (bool Allowed, string By) Ask(HttpConnectionManager manager, AskedRequest request)
    {
        var route = manager.RouteConfig.VirtualHosts[0].Routes.First(r => Matches(r.Match, request));
        foreach (var filter in manager.HttpFilters.Where(f => f.TypedConfig.Is(HttpRbac.Descriptor)))
        {
            var config = route.TypedPerFilterConfig.TryGetValue(filter.Name, out var own) ? own.Unpack<RBACPerRoute>().Rbac : filter.TypedConfig.Unpack<HttpRbac>();
            if (config?.Rules is not { } rules)
            {
                continue;
            }

            var by = rules.Policies.Where(p => Matches(p.Value, request)).Select(p => p.Key).FirstOrDefault();
            if ((rules.Action == Mesh.Protos.Envoy.Rbac.RBAC.Types.Action.Deny) == (by is not null))
            {
                return (false, by ?? "unmatched");
            }

            if (by is not null)
            {
                return (true, by);
            }
        }

        return (true, "allowed");
    }

    private static bool Matches(Mesh.Protos.Envoy.Rbac.Policy policy, AskedRequest request) => policy.Permissions.Any(p => Matches(p, request)) && policy.Principals.Any(p => Matches(p, request));

    private static bool Matches(Permission permission, AskedRequest request) => permission.RuleCase switch
    {
        Permission.RuleOneofCase.Any => permission.Any,
        Permission.RuleOneofCase.AndRules => permission.AndRules.Rules.All(r => Matches(r, request)),
        Permission.RuleOneofCase.OrRules => permission.OrRules.Rules.Any(r => Matches(r, request)),
        Permission.RuleOneofCase.NotRule => !Matches(permission.NotRule, request),
        Permission.RuleOneofCase.UrlPath => Matches(permission.UrlPath.Path, request.Path),
        Permission.RuleOneofCase.Header => Matches(permission.Header, request),
        _ => throw new InvalidOperationException($"{permission.RuleCase} is not written."),
    };

    private static bool Matches(Principal principal, AskedRequest request) => principal.IdentifierCase switch
    {
        Principal.IdentifierOneofCase.Any => principal.Any,
        Principal.IdentifierOneofCase.AndIds => principal.AndIds.Ids.All(r => Matches(r, request)),
        Principal.IdentifierOneofCase.OrIds => principal.OrIds.Ids.Any(r => Matches(r, request)),
        Principal.IdentifierOneofCase.NotId => !Matches(principal.NotId, request),
        Principal.IdentifierOneofCase.Authenticated => Matches(principal.Authenticated.PrincipalName, request.Caller),
        Principal.IdentifierOneofCase.DirectRemoteIp => new IPNetwork(IPAddress.Parse(principal.DirectRemoteIp.AddressPrefix), (int)principal.DirectRemoteIp.PrefixLen!.Value).Contains(IPAddress.Parse(request.Ip)),
        Principal.IdentifierOneofCase.Metadata => false,
        _ => throw new InvalidOperationException($"{principal.IdentifierCase} is not written."),
    };

    private static bool Matches(RouteMatch match, AskedRequest request)
    {
        var compare = match.CaseSensitive == false ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        var path = match.PathSpecifierCase switch
        {
            RouteMatch.PathSpecifierOneofCase.Prefix => request.Path.StartsWith(match.Prefix, compare),
            RouteMatch.PathSpecifierOneofCase.Path => request.Path.Equals(match.Path, compare),
            RouteMatch.PathSpecifierOneofCase.PathSeparatedPrefix => request.Path.Equals(match.PathSeparatedPrefix, compare) || request.Path.StartsWith(match.PathSeparatedPrefix + "/", compare),
            RouteMatch.PathSpecifierOneofCase.SafeRegex => Whole(match.SafeRegex, request.Path),
            _ => throw new InvalidOperationException($"{match.PathSpecifierCase} is not written."),
        };
        return path && match.Headers.All(h => Matches(h, request)) && match.QueryParameters.All(q => request.Query.TryGetValue(q.Name, out var value) && Matches(q.StringMatch, value));
    }

    private static bool Matches(HeaderMatcher header, AskedRequest request)
    {
        var value = header.Name switch { ":method" => request.Method, ":authority" => request.Host, _ => request.Headers.GetValueOrDefault(header.Name) };
        return value is not null && header.HeaderMatchSpecifierCase switch
        {
            HeaderMatcher.HeaderMatchSpecifierOneofCase.PresentMatch => true,
            HeaderMatcher.HeaderMatchSpecifierOneofCase.ExactMatch => value == header.ExactMatch,
            HeaderMatcher.HeaderMatchSpecifierOneofCase.PrefixMatch => value.StartsWith(header.PrefixMatch, StringComparison.Ordinal),
            HeaderMatcher.HeaderMatchSpecifierOneofCase.SuffixMatch => value.EndsWith(header.SuffixMatch, StringComparison.Ordinal),
            HeaderMatcher.HeaderMatchSpecifierOneofCase.SafeRegexMatch => Whole(header.SafeRegexMatch, value),
            HeaderMatcher.HeaderMatchSpecifierOneofCase.StringMatch => Matches(header.StringMatch, value),
            _ => throw new InvalidOperationException($"{header.HeaderMatchSpecifierCase} is not written."),
        };
    }

    private static bool Matches(StringMatcher text, string value)
    {
        var compare = text.IgnoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return text.MatchPatternCase switch
        {
            StringMatcher.MatchPatternOneofCase.Exact => value.Equals(text.Exact, compare),
            StringMatcher.MatchPatternOneofCase.Prefix => value.StartsWith(text.Prefix, compare),
            StringMatcher.MatchPatternOneofCase.SafeRegex => Whole(text.SafeRegex, value),
            _ => throw new InvalidOperationException($"{text.MatchPatternCase} is not written."),
        };
    }

    private static bool Whole(RegexMatcher matcher, string value) => Regex.IsMatch(value, $@"\A(?:{matcher.Regex})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}
