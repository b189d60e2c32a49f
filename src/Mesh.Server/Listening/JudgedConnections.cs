using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Mesh.Server.Listening;

/// <summary>Connections whose bytes only the app understands: judged when they come, and again at every change of policy; one whose right is revoked is closed. Thread-safe.</summary>
internal sealed partial class JudgedConnections : IDisposable
{
    private static readonly PolicyDecision _closed = new(false, PolicyStage.Default, null);
    private readonly ConcurrentDictionary<ConnectionContext, MeshConnectionFeature> _live = new();
    private readonly ConcurrentDictionary<InboundAddress, Action> _watched = new();
    private readonly InboundCounters _counters;
    private readonly RefusalLog _refusals;
    private readonly ILogger _logger;
    private readonly Meter _meter;
    private readonly Counter<long> _revoked;

    public JudgedConnections(InboundCounters counters, RefusalLog refusals, IMeterFactory meters, ILogger<JudgedConnections> logger)
    {
        (_counters, _refusals, _logger) = (counters, refusals, logger);
        _meter = meters.Create(new MeterOptions("Mesh"));
        _revoked = _meter.CreateCounter<long>(MeshTags.ServerConnectionsRevoked, "{connection}", "Connections closed because a change of policy took their right.");
    }

    /// <summary>Connections that are watched.</summary>
    public int Count => _live.Count;

    /// <summary>Whether a connection may stay; one that may is watched until it closes. Where requests are judged those that bring them always may.</summary>
    /// <param name="bringsRequests">It is HTTP, as far as can be seen.</param>
    public bool Admits(ConnectionContext connection, MeshConnectionFeature mesh, bool bringsRequests)
    {
        if (mesh.Address is not { Policy: { } first } address || (bringsRequests && !first.IsOpaque(mesh.IsMeshTls)))
        {
            return true;
        }

        Watch(address);
        // Watched before it is judged: a policy that comes in between meets it in the list.
        _live[connection] = mesh;
        connection.ConnectionClosed.UnsafeRegister(state => _live.TryRemove((ConnectionContext)state!, out _), connection);
        if (Judge(connection, mesh) is not { IsAllowed: false } denied)
        {
            return true;
        }

        _live.TryRemove(connection, out _);
        if (first.IsOpaque(mesh.IsMeshTls))
        {
            Refused(mesh, denied, address);
        }
        else
        {
            Closed(address, connection.ConnectionId);
        }

        return false;
    }

    /// <summary>The address is served no more.</summary>
    public void Forget(InboundAddress address)
    {
        if (_watched.TryRemove(address, out var handler))
        {
            address.Changed -= handler;
        }
    }

    public void Dispose()
    {
        foreach (var address in _watched.Keys)
        {
            Forget(address);
        }

        _meter.Dispose();
    }

    private void Watch(InboundAddress address)
    {
        Action handler = () => JudgeAgain(address);
        if (_watched.TryAdd(address, handler))
        {
            address.Changed += handler;
        }
    }

    private void JudgeAgain(InboundAddress address)
    {
        foreach (var (connection, mesh) in _live)
        {
            if (ReferenceEquals(mesh.Address, address) && Judge(connection, mesh) is { IsAllowed: false } denied && _live.TryRemove(connection, out _))
            {
                _revoked.Add(1);
                Log.ConnectionRevoked(_logger, connection.ConnectionId, address.Name, Caller(connection, mesh), denied.ToString());
                connection.Abort(new ConnectionAbortedException("A change of policy took the right of this connection."));
            }
        }
    }

    /// <returns>Null where nothing restricts it.</returns>
    private static PolicyDecision? Judge(ConnectionContext connection, MeshConnectionFeature mesh)
    {
        var policy = mesh.Address!.Policy!;
        if (!mesh.IsMeshTls && !policy.Plaintext)
        {
            return _closed;
        }

        if (!policy.IsOpaque(mesh.IsMeshTls))
        {
            // Requests are judged now: of mesh TLS, which is HTTP. What brings none cannot be judged.
            return (mesh.IsMeshTls && !mesh.IsTcp) || policy.Authorizer(mesh.IsMeshTls) is null ? null : _closed;
        }

        mesh.Facts ??= InboundAuthorization.Facts(mesh, (connection.RemoteEndPoint as IPEndPoint)?.Address, connection.LocalEndPoint as IPEndPoint);
        return policy.Authorizer(mesh.IsMeshTls)?.Connections.Decide(new RbacRequest(null, mesh.Facts, VerifiedClaims.None));
    }

    private void Refused(MeshConnectionFeature mesh, PolicyDecision denied, InboundAddress address)
    {
        var reason = _counters.Denied(denied.Rule);
        if (_refusals.IsDue($"{Decisions.Authorization}/connection/{reason}", out var count))
        {
            Log.ConnectionRefused(_logger, count, address.Name, mesh.Peer?.Id.ToString() ?? mesh.Facts?.Source.ToString() ?? "unknown", denied.ToString());
        }
    }

    /// <summary>The address takes mesh TLS, or HTTP whose requests can be judged.</summary>
    private void Closed(InboundAddress address, string connectionId)
    {
        _counters.Denied(null);
        if (_refusals.IsDue($"{Decisions.Authorization}/connection", out var count))
        {
            Log.ConnectionClosed(_logger, count, address.Name, connectionId);
        }
    }

    private static string Caller(ConnectionContext connection, MeshConnectionFeature mesh) => mesh.Peer?.Id.ToString() ?? connection.RemoteEndPoint?.ToString() ?? "unknown";
}
