using System.Collections.Immutable;
using System.Net;

namespace Mesh.ControlPlane.Model;

/// <summary>Whose endpoints an answer rests on, beside all that is no endpoint: it is the same while none of these changes.</summary>
internal sealed record AnswerBasis
{
    public ImmutableArray<ServiceName> Services { get; init; } = [];

    /// <summary>IP literals.</summary>
    public ImmutableArray<string> Addresses { get; init; } = [];

    public (string Namespace, string Account)? Account { get; init; }

    /// <summary>What a model may say of the node itself.</summary>
    public static AnswerBasis Of(NodeContext node) => new()
    {
        Addresses = [.. node.InstanceIps.Select(ip => IPAddress.TryParse(ip, out var parsed) ? parsed.ToString() : ip)],
        Account = node.Identity is { Namespace: { } ns, ServiceAccount: { } account } ? (ns, account) : null,
    };
}
