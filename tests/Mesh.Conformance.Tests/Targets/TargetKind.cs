using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>The servers that every case is tried on.</summary>
public enum TargetKind
{
    /// <summary>Bare Kestrel, the app in it. For HTTP/2: with prior knowledge.</summary>
    Kestrel,

    /// <summary>An app with UseMesh(), over the mesh's TLS.</summary>
    Mesh,

    /// <summary>The client's sidecar, mesh TLS, the server's sidecar, Kestrel.</summary>
    Sidecars,

    /// <summary>The server's sidecar, called in plaintext by a stranger, and Kestrel.</summary>
    SidecarInbound,
}

/// <summary>One server per test class and kind, started when first asked for.</summary>
public abstract class TargetsFixture : IAsyncLifetime
{
    private readonly Dictionary<TargetKind, ITarget> _targets = [];

    private protected abstract HttpProtocols Protocols { get; }

    internal async Task<ITarget> GetAsync(TargetKind kind)
    {
        if (!_targets.TryGetValue(kind, out var target))
        {
            _targets[kind] = target = kind switch
            {
                TargetKind.Kestrel => await KestrelTarget.StartAsync(Protocols),
                TargetKind.Mesh => await MeshTarget.StartAsync(Protocols),
                TargetKind.Sidecars => await SidecarTarget.StartAsync(Protocols, inboundAlone: false),
                TargetKind.SidecarInbound => await SidecarTarget.StartAsync(Protocols, inboundAlone: true),
                _ => throw new ArgumentOutOfRangeException(nameof(kind)),
            };
        }

        return target;
    }

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        foreach (var target in _targets.Values)
        {
            await target.DisposeAsync();
        }
    }
}

public sealed class Http2Targets : TargetsFixture
{
    private protected override HttpProtocols Protocols => HttpProtocols.Http2;
}

public sealed class Http1Targets : TargetsFixture
{
    private protected override HttpProtocols Protocols => HttpProtocols.Http1;
}
