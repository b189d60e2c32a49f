using System.Net;
using System.Text.Json;
using Mesh.Policy;
using Mesh.Spiffe;
using Mesh.Traffic;

namespace Mesh.ControlPlane.Api;

/// <summary>A request that nobody makes: somebody asks what would become of it.</summary>
internal sealed class AskedRequest(string method, string authority, string path, string query, IReadOnlyList<KeyValuePair<string, string>> headers) : RequestHead
{
    /// <summary>Null: from outside of the mesh.</summary>
    public SpiffeId? Caller { get; init; }

    /// <summary>Its path can be read in more than one way.</summary>
    public bool IsAmbiguous { get; init; }

    /// <summary>Where it comes from; null is in no network.</summary>
    public IPAddress? Source { get; init; }

    /// <summary>What a verified token says; null without one.</summary>
    public JsonElement? Claims { get; init; }

    public override string Method => method;

    public override string Authority => authority;

    public override string Path => path;

    public override string Query => query;

    public override string? Header(string name) => name switch
    {
        ":method" => method,
        ":path" => query.Length == 0 ? path : $"{path}?{query}",
        ":authority" or "host" => authority,
        _ => headers.Where(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(h => h.Value).ToArray() is { Length: > 0 } values ? string.Join(',', values) : null,
    };

    public override int Lines(string name) => name is "host" or [':', ..] ? base.Lines(name) : headers.Count(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase));

    public override string Line(string name, int index) =>
        name is "host" or [':', ..] ? base.Line(name, index) : headers.Where(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).ElementAt(index).Value;

    /// <summary>As it arrives: rewritten on the way, and without what a stranger may not say.</summary>
    /// <param name="host">Null is unchanged.</param>
    public AskedRequest Arrived(string arrivedPath, string? host, bool fromStranger) =>
        new(method, host ?? authority, arrivedPath, query, fromStranger ? [.. headers.Where(h => MeshHeaders.MayComeFromOutside(h.Key, fromProxy: false))] : headers)
        {
            Caller = Caller,
            IsAmbiguous = IsAmbiguous,
            Source = Source,
            Claims = Claims,
        };

    /// <param name="keys">Of the issuers that are believed at a place: each is taken to vouch for the token.</param>
    public VerifiedClaims ClaimsFor(IEnumerable<string> keys) =>
        Claims is { } claims ? new VerifiedClaims(keys.ToDictionary(k => k, _ => claims, StringComparer.Ordinal)) : VerifiedClaims.None;
}
