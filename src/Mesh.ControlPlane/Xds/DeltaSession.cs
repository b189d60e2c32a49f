using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>Incremental: per resource what changed, and by name what does not exist.</summary>
internal sealed class DeltaSession(AdsParts parts, SpiffeId? identity, string? serial, string address)
    : AdsSession<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(parts, identity, serial, address, "delta")
{
    private const string Wildcard = "*";

    protected override DeltaDiscoveryResponse? ReceiveLocked(DeltaDiscoveryRequest request)
    {
        IdentifyLocked(request.Node);
        var type = TypeLocked(request.TypeUrl, out var isFirst);
        if (!isFirst && request.ResponseNonce.Length > 0 && request.ResponseNonce == type.Nonce && type.State == SubscriptionState.Sent)
        {
            if (request.ErrorDetail is { } error)
            {
                NackLocked(type, error.Message);
            }
            else
            {
                AckLocked(type, type.VersionSent);
            }
        }
        else if (request.ErrorDetail is { } error && !isFirst)
        {
            // Of a response that another one has followed already: still worth knowing.
            NackLocked(type, error.Message);
        }

        foreach (var name in request.ResourceNamesUnsubscribe)
        {
            type.Names.Remove(name);
            type.Sent.Remove(name);
        }

        var asked = request.ResourceNamesSubscribe.Where(n => n != Wildcard).ToList();
        AddLocked(type, asked);
        foreach (var name in asked)
        {
            // A client that asks again has dropped what it had.
            type.Sent.Remove(name);
        }

        if (isFirst)
        {
            foreach (var (name, version) in request.InitialResourceVersions)
            {
                if (type.Names.Contains(name))
                {
                    type.Sent[name] = new Answer(version, null, null, false);
                    if (type.TypeUrl == XdsTypes.TrustBundle)
                    {
                        HoldLocked(type, version);
                    }
                }
            }
        }

        // We enumerate nothing: a wildcard is answered at once with nothing, so that nobody waits for it.
        return asked.Count > 0 || (isFirst && type.Names.Count == 0) ? Make(type, always: isFirst && type.Names.Count == 0, again: false) : null;
    }

    protected override DeltaDiscoveryResponse? PushLocked(Subscription type, bool again) => Make(type, always: false, again);

    private DeltaDiscoveryResponse? Make(Subscription type, bool always, bool again)
    {
        var response = new DeltaDiscoveryResponse { TypeUrl = type.TypeUrl };
        foreach (var name in type.Names)
        {
            var answer = Resolve(type, name);
            var known = type.Sent.TryGetValue(name, out var sent);
            if (known && !answer.Exists && ReferenceEquals(answer, sent))
            {
                // Refused by our own check, and the client brought a good one from before: that stays.
                continue;
            }

            if (answer.Exists && (!known || again || sent!.Version != answer.Version))
            {
                response.Resources.Add(new Resource { Name = name, Version = answer.Version, Resource_ = answer.Resource });
            }
            else if (!answer.Exists && (!known || sent!.Version.Length > 0))
            {
                response.RemovedResources.Add(name);
            }

            type.Sent[name] = answer;
        }

        if (!always && response.Resources.Count == 0 && response.RemovedResources.Count == 0)
        {
            return null;
        }

        response.Nonce = type.Nonce = NextNonce();
        response.SystemVersionInfo = type.VersionSent = response.Nonce;
        SendingLocked(type);
        return response;
    }
}
