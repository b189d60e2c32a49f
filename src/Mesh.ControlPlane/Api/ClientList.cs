using System.Text.Json;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Api;

/// <summary>A client of the control plane, as <c>/clients</c> writes it.</summary>
/// <param name="Version">Of our own data planes; null where the node does not say it.</param>
/// <param name="LastNack">What it refused last and why, of all time.</param>
/// <param name="StaleS">How long it has not acknowledged what is current; 0 when it has.</param>
/// <param name="PushMs">From sending the answer that it acknowledged last until then; null before the first.</param>
/// <param name="Replica">Of the control plane, that it is connected to.</param>
internal sealed record ClientEntry(
    string Id, string? Identity, string Namespace, string Address, DateTimeOffset ConnectedSince, string Variant, string? Version, string UserAgent,
    long Acks, long Nacks, string? LastNack, double StaleS, double? PushMs, string Replica, IReadOnlyList<ClientSubscription> Subscriptions);

/// <param name="Status"><c>sent</c>, <c>acked</c> or <c>nacked</c>.</param>
/// <param name="LastNack">Why it refused what was sent last; null when it did not.</param>
internal sealed record ClientSubscription(string TypeUrl, IReadOnlyList<string> Names, string VersionSent, string VersionAcked, string Status, string? LastNack);

/// <summary>Lists who is connected, to whichever replica. Thread-safe.</summary>
internal sealed partial class ClientList(ClientRegistry clients, ReplicaView replicas, IReplicaPeers peers, IOptions<JsonOptions> json, TimeProvider time, ILogger<ClientList> logger)
{
    /// <summary>Names the replicas that did not answer: an array has no place for it.</summary>
    public const string PartialHeader = "Mesh-Partial";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Those of this replica.</summary>
    public IReadOnlyList<ClientEntry> Own =>
    [
        .. clients.Clients.Select(c => new ClientEntry(
            c.Node.Id, c.Node.Identity?.ToString(), c.Node.Namespace, c.Address, c.ConnectedSince, c.Variant, c.Node.MeshVersion, c.Node.UserAgent,
            c.Acks, c.Nacks, c.LastNack, c.StaleSeconds, c.PushMs, replicas.Own,
            [.. c.Types.Select(t => new ClientSubscription(t.TypeUrl, [.. t.Resources.Select(r => r.Name)], t.VersionSent, t.VersionAcked, t.Status, t.LastNack))])),
    ];

    public static async Task<IReadOnlyList<ClientEntry>> AnswerAsync(ClientList list, HttpContext context)
    {
        var (all, missing) = await list.ReadAsync(context.RequestAborted);
        if (missing.Count > 0)
        {
            context.Response.Headers[PartialHeader] = string.Join(',', missing);
        }

        return all;
    }

    public async Task<(IReadOnlyList<ClientEntry> Clients, IReadOnlyList<string> Missing)> ReadAsync(CancellationToken cancellationToken)
    {
        var own = Own;
        var others = peers.Others;
        if (others.Count == 0)
        {
            return (own, []);
        }

        var asked = await Task.WhenAll(others.Select(o => AskAsync(o, cancellationToken)));
        return (
            [.. asked.SelectMany(a => a.Clients ?? []).Concat(own).OrderBy(c => c.Id, StringComparer.Ordinal)],
            [.. asked.Where(a => a.Clients is null).Select(a => a.Name)]);
    }

    private async Task<(string Name, IReadOnlyList<ClientEntry>? Clients)> AskAsync(ReplicaPeer peer, CancellationToken cancellationToken)
    {
        if (peer.Calls is not { } calls)
        {
            return (peer.Name, null);
        }

        using var limit = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var call = calls.AsyncUnaryCall(ReplicaClientsMethods.Method, null, new CallOptions(cancellationToken: both.Token), []);
            return (peer.Name, JsonSerializer.Deserialize<IReadOnlyList<ClientEntry>>(await call.ResponseAsync, json.Value.SerializerOptions));
        }
        catch (Exception e) when (e is RpcException or JsonException && !cancellationToken.IsCancellationRequested)
        {
            Log.NotTold(logger, peer.Name, e.Message);
            return (peer.Name, null);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4815, LogLevel.Debug, "Replica {Replica} did not say who is connected to it: {Problem}", EventName = nameof(NotTold))]
        public static partial void NotTold(ILogger logger, string replica, string problem);
    }
}
