using Mesh.Config;
using Mesh.Policy;
using Mesh.Resilience;

namespace Mesh.Inbound;

/// <summary>What one bound address takes, compiled from its listener.</summary>
/// <param name="MeshTls">Mesh TLS ends here, also for peers that do not show the marker.</param>
/// <param name="Plaintext">Requests without mesh TLS are served; false is a strict address.</param>
internal sealed record InboundPolicy(bool MeshTls, bool Plaintext)
{
    public static InboundPolicy Permissive { get; } = new(MeshTls: true, Plaintext: true);

    /// <summary>Of requests over mesh TLS; null is none.</summary>
    public InboundLimiter? MeshLimits { get; init; }

    /// <summary>Of all other requests; null is none.</summary>
    public InboundLimiter? OtherLimits { get; init; }

    /// <summary>Who may do what over mesh TLS; null is everybody everything.</summary>
    public Authorizer? MeshAuthorizer { get; init; }

    /// <summary>Who may do what otherwise; null is everybody everything.</summary>
    public Authorizer? OtherAuthorizer { get; init; }

    /// <summary>Over mesh TLS, connections are judged and not requests.</summary>
    public bool MeshIsOpaque { get; init; }

    /// <summary>Otherwise, connections are judged and not requests.</summary>
    public bool OtherIsOpaque { get; init; }

    /// <summary>Of requests over mesh TLS.</summary>
    public InboundGuards MeshGuards { get; init; } = InboundGuards.None;

    /// <summary>Of all other requests.</summary>
    public InboundGuards OtherGuards { get; init; } = InboundGuards.None;

    /// <summary>What the limits have counted; null without any.</summary>
    public LimitStates? States { get; init; }

    /// <param name="own">For the whole server, by its operator; null is none.</param>
    /// <param name="states">Takes up what is counted.</param>
    /// <param name="keys">Null fetches none.</param>
    public static InboundPolicy From(Listener listener, ConcurrencyGate? own, LimitStates states, JwksStore? keys, TimeProvider time)
    {
        var mesh = listener.FilterChains.FirstOrDefault(c => c is { MeshTls: true, Transport: TransportProtocol.Any or TransportProtocol.Tls });
        var plain = listener.FilterChains.FirstOrDefault(c => c is { MeshTls: false, Transport: TransportProtocol.Any or TransportProtocol.RawBuffer });
        return new InboundPolicy(mesh is not null, plain is not null)
        {
            // A marked peer's TLS ends here even when no chain says so: then the plaintext chain's limits and rules hold.
            MeshLimits = InboundLimiter.From((mesh ?? plain)?.Http, own, states),
            OtherLimits = InboundLimiter.From((plain ?? mesh)?.Http, own, states),
            MeshAuthorizer = Inbound.Authorizer.From(mesh ?? plain),
            OtherAuthorizer = Inbound.Authorizer.From(plain ?? mesh),
            MeshIsOpaque = (mesh ?? plain)?.IsOpaque ?? false,
            OtherIsOpaque = (plain ?? mesh)?.IsOpaque ?? false,
            MeshGuards = InboundGuards.From((mesh ?? plain)?.Http, keys, time),
            OtherGuards = InboundGuards.From((plain ?? mesh)?.Http, keys, time),
            States = states.IsEmpty ? null : states,
        };
    }

    public Authorizer? Authorizer(bool isMeshTls) => isMeshTls ? MeshAuthorizer : OtherAuthorizer;

    public bool IsOpaque(bool isMeshTls) => isMeshTls ? MeshIsOpaque : OtherIsOpaque;

    public InboundGuards Guards(bool isMeshTls) => isMeshTls ? MeshGuards : OtherGuards;

    public InboundLimiter? Limits(bool isMeshTls) => isMeshTls ? MeshLimits : OtherLimits;
}
