using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.ControlPlane.Translation;
using Mesh.ControlPlane.Xds;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Api;

/// <summary>What <c>mesh check</c> says of authorization: what is closed or open by mistake, and which nodes can't ask all of it.</summary>
internal static class AuthorizationChecks
{
    private const string Category = "authorization";

    public static IEnumerable<Check> Run(MeshModel model, ServerDefaults defaults, IReadOnlyList<AdsClient> clients)
    {
        Check[] found = [.. Held(model), .. Foreign(model, defaults, clients), .. Opaque(model, defaults)];
        return found.Length > 0 ? found : [Check.Ok("authorization", Category, "every policy is held everywhere")];
    }

    private static IEnumerable<Check> Held(MeshModel model)
    {
        foreach (var policy in model.Policies.Where(p => PolicyKinds.Find(p.Kind) is { Closes: true }))
        {
            foreach (var closed in policy.Attachments.Where(a => a.Closes))
            {
                yield return Check.Error("authorization-closed", Category, "every policy can be held where it is attached",
                    $"{policy} ({policy.Where}) can't be held at {closed.Target}, which is closed but for probes: {closed.Message}", $"Edit {policy.Where}; it is read again at once.");
            }

            if (policy is { Values.IsEmpty: true, Attachments.IsEmpty: true })
            {
                yield return Check.Error("authorization-unread", Category, "every policy's target can be read",
                    $"{policy} ({policy.Where}) protects NOTHING: what it is about can't be read. {policy.Invalid}", $"Edit {policy.Where}; it is read again at once.");
            }
        }
    }

    /// <summary>gRPC servers of others that serve what a policy reaches.</summary>
    private static IEnumerable<Check> Foreign(MeshModel model, ServerDefaults defaults, IReadOnlyList<AdsClient> clients)
    {
        var limited = model.Policies.Select(p => (Policy: p, Limits: PeerLimits.Of(p).ToArray())).Where(p => p.Limits.Length > 0).ToDictionary(p => (p.Policy.Kind, p.Policy.Name));
        if (limited.Count == 0)
        {
            yield break;
        }

        var index = new AuthorizationIndex(model, defaults);
        foreach (var client in clients.Where(c => !c.Node.IsMesh))
        {
            foreach (var name in client.Types.Where(t => t.TypeUrl == XdsTypes.Listener).SelectMany(t => t.Resources).Select(r => r.Name).Where(n => n.StartsWith(XdsTypes.GrpcServerPrefix, StringComparison.Ordinal)))
            {
                if (!ResourceNames.TryAddress(name[XdsTypes.GrpcServerPrefix.Length..], out var ip, out var port))
                {
                    continue;
                }

                var place = InboundPlace.Find(index, client.Node, ip, port);
                foreach (var (policy, limits) in place.Policies.Select(limited.GetValueOrDefault).Where(p => p.Policy is not null))
                {
                    yield return Check.Warning("authorization-peer", Category, "every node can ask all that its policies say",
                        $"{client.Node.Id} at {ip}:{port}, {policy} ({policy.Where}): {string.Join(' ', limits)}", "Serve it with UseMesh() or the sidecar, or write the rule without what the node can't ask.");
                }
            }
        }
    }

    /// <summary>Rules about requests at ports that are read as bytes.</summary>
    private static IEnumerable<Check> Opaque(MeshModel model, ServerDefaults defaults)
    {
        var index = new AuthorizationIndex(model, defaults);
        if (!index.HasOpaque)
        {
            yield break;
        }

        var seen = new HashSet<(string, ServiceName)>();
        foreach (var service in model.Services.Values.OrderBy(s => s.Name.ToString(), StringComparer.Ordinal))
        {
            foreach (var endpoint in service.Endpoints)
            {
                var place = index.At(service.Name.Namespace, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port);
                foreach (var rule in place.Protocol == ServerProtocol.Opaque ? place.All.Where(r => PeerLimits.NeedsRequests(r.Rule)) : [])
                {
                    if (seen.Add((rule.Name, service.Name)))
                    {
                        yield return Check.Warning("authorization-opaque", Category, "rules about requests are at ports that are read as requests",
                            $"rule {rule.Name} ({rule.Rule.Where}) at Service '{service.Name}', whose port is opaque: {(rule.IsAllow ? "nobody gets in by it" : "it refuses without asking for the request")}",
                            "Write a rule about callers only, or remove protocol: Opaque.");
                    }
                }
            }
        }
    }
}
