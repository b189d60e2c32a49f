using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>RDS: which authority and path goes to which cluster (gRFC A28, A31, A44). All virtual hosts are checked, also those we never call.</summary>
internal static class RouteConfigurationDecoder
{
    public static DecodeResult Decode(Wire.RouteConfiguration configuration)
    {
        var errors = new DecodeErrors();
        if (configuration.Name.Length == 0)
        {
            errors.Add("name", "is empty", "Name the RDS resource as it was asked for.");
        }

        return errors.Result(configuration.Name, Decode(configuration, string.Empty, errors));
    }

    /// <param name="prefix">Where it stands inside another resource, with its closing dot; or empty.</param>
    public static RouteConfiguration Decode(Wire.RouteConfiguration configuration, string prefix, DecodeErrors errors)
    {
        var (allRequests, allResponses) = HeaderChangesDecoder.Of(configuration, prefix, errors);
        var hosts = new List<VirtualHost>(configuration.VirtualHosts.Count);
        var domainsSeen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < configuration.VirtualHosts.Count; i++)
        {
            var given = configuration.VirtualHosts[i];
            var path = $"{prefix}virtual_hosts[{i}]";
            var domains = Domains(given, path, domainsSeen, errors);
            var overrides = HttpFilterDecoder.Overrides(given.TypedPerFilterConfig, path, errors);
            var retry = RetryPolicyDecoder.Decode(given.RetryPolicy, $"{path}.retry_policy", errors);
            var (hostRequests, hostResponses) = HeaderChangesDecoder.Of(given, $"{path}.", errors);
            var routes = new List<Route>(given.Routes.Count);
            for (var j = 0; j < given.Routes.Count; j++)
            {
                if (RouteDecoder.Decode(given.Routes[j], retry, $"{path}.routes[{j}]", errors) is { } route)
                {
                    // Most specific first; the configuration's come last and win (Envoy).
                    routes.Add(route with
                    {
                        RequestHeaders = route.RequestHeaders.Then(hostRequests).Then(allRequests),
                        ResponseHeaders = route.ResponseHeaders.Then(hostResponses).Then(allResponses),
                    });
                }
            }

            hosts.Add(new VirtualHost(given.Name, domains, routes) { FilterOverrides = overrides });
        }

        return new RouteConfiguration(configuration.Name, hosts);
    }

    private static List<string> Domains(Wire.VirtualHost host, string path, HashSet<string> seen, DecodeErrors errors)
    {
        var domains = new List<string>(host.Domains.Count);
        if (host.Domains.Count == 0)
        {
            errors.Add($"{path}.domains", "is empty", "List at least one domain, or '*'.");
        }

        for (var i = 0; i < host.Domains.Count; i++)
        {
            var domain = host.Domains[i].ToLowerInvariant();
            var stars = domain.Count(c => c == '*');
            if (domain.Length == 0 || stars > 1 || (stars == 1 && domain[0] != '*' && domain[^1] != '*'))
            {
                errors.Add($"{path}.domains[{i}]", $"is '{host.Domains[i]}'", "Use an exact name, '*.suffix', 'prefix.*' or '*'.");
            }
            else if (!seen.Add(domain))
            {
                errors.Add($"{path}.domains[{i}]", $"repeats '{host.Domains[i]}'", "A domain belongs to one virtual host.");
            }

            domains.Add(domain);
        }

        return domains;
    }
}
