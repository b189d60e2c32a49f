using System.Security.Cryptography;
using System.Text;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>State of the world: each answer about listeners or clusters holds all subscribed ones (a missing one is deleted), about routes or endpoints what is new.</summary>
internal sealed class SotwSession(AdsParts parts, SpiffeId? identity, string? serial, string address)
    : AdsSession<DiscoveryRequest, DiscoveryResponse>(parts, identity, serial, address, "state-of-the-world")
{
    protected override DiscoveryResponse? ReceiveLocked(DiscoveryRequest request)
    {
        IdentifyLocked(request.Node);
        var type = TypeLocked(request.TypeUrl, out var isFirst);
        if (!isFirst && request.ResponseNonce.Length > 0)
        {
            if (request.ResponseNonce != type.Nonce)
            {
                // It answers an older response; the answer to the last one comes with its own, newer names.
                return null;
            }

            if (request.ErrorDetail is { } error)
            {
                NackLocked(type, error.Message);
            }
            else if (type.State == SubscriptionState.Sent)
            {
                AckLocked(type, request.VersionInfo);
            }
        }

        var wanted = new HashSet<string>(request.ResourceNames, StringComparer.Ordinal);
        foreach (var gone in type.Names.Where(n => !wanted.Contains(n)).ToList())
        {
            type.Names.Remove(gone);
            type.Sent.Remove(gone);
        }

        var added = AddLocked(type, wanted);
        return isFirst || (added.Count > 0 && IsFullState(type.TypeUrl)) ? Make(type, always: true, again: false)
            : added.Count > 0 ? Make(type, always: false, again: false)
            : null;
    }

    protected override DiscoveryResponse? PushLocked(Subscription type, bool again) => Make(type, always: false, again);

    private DiscoveryResponse? Make(Subscription type, bool always, bool again)
    {
        var full = IsFullState(type.TypeUrl);
        var changed = false;
        var response = new DiscoveryResponse { TypeUrl = type.TypeUrl };
        var versions = new StringBuilder();
        foreach (var name in type.Names)
        {
            var answer = Resolve(type, name);
            var known = type.Sent.TryGetValue(name, out var sent);
            var isNew = (known ? sent!.Version : string.Empty) != answer.Version;
            changed |= isNew && (answer.Exists || full);
            if (answer.Exists)
            {
                versions.Append(name).Append('=').Append(answer.Version).Append('\n');
                if (full || isNew || again)
                {
                    response.Resources.Add(answer.Resource);
                }
            }

            type.Sent[name] = answer;
        }

        if (!always && !changed && !(again && response.Resources.Count > 0))
        {
            return null;
        }

        response.VersionInfo = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(versions.ToString())).AsSpan(0, 8));
        response.Nonce = type.Nonce = NextNonce();
        type.VersionSent = response.VersionInfo;
        SendingLocked(type);
        return response;
    }
}
