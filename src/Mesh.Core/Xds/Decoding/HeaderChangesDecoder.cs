using System.Buffers;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>Headers that a route adds, replaces and removes.</summary>
internal static class HeaderChangesDecoder
{
    // RFC 9110 §5.6.2 and §5.5.
    private static readonly SearchValues<char> _tokens = SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    private static readonly string[] _connection = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"];

    /// <summary>Changes of a whole configuration or virtual host.</summary>
    /// <param name="prefix">Path of the owner with its closing dot, or empty.</param>
    public static (HeaderChanges Request, HeaderChanges Response) Of(Wire.RouteConfiguration given, string prefix, DecodeErrors errors) =>
        (Request(given.RequestHeadersToAdd, given.RequestHeadersToRemove, prefix, errors), Response(given.ResponseHeadersToAdd, given.ResponseHeadersToRemove, prefix, errors));

    public static (HeaderChanges Request, HeaderChanges Response) Of(Wire.VirtualHost given, string prefix, DecodeErrors errors) =>
        (Request(given.RequestHeadersToAdd, given.RequestHeadersToRemove, prefix, errors), Response(given.ResponseHeadersToAdd, given.ResponseHeadersToRemove, prefix, errors));

    public static (HeaderChanges Request, HeaderChanges Response) Of(Wire.Route given, string prefix, DecodeErrors errors) =>
        (Request(given.RequestHeadersToAdd, given.RequestHeadersToRemove, prefix, errors), Response(given.ResponseHeadersToAdd, given.ResponseHeadersToRemove, prefix, errors));

    public static (HeaderChanges Request, HeaderChanges Response) Of(Wire.WeightedCluster.Types.ClusterWeight given, string prefix, DecodeErrors errors) =>
        (Request(given.RequestHeadersToAdd, given.RequestHeadersToRemove, prefix, errors), Response(given.ResponseHeadersToAdd, given.ResponseHeadersToRemove, prefix, errors));

    /// <summary>Why a route may not touch a header; null when it may. Also the control plane's check of manifests.</summary>
    public static string? WhyNot(string name) =>
        name.StartsWith(':') || name.Equals("host", StringComparison.OrdinalIgnoreCase) ? "is part of the request line: rewrite host or path instead"
        : name.Length == 0 || name.AsSpan().ContainsAnyExcept(_tokens) ? "is no header name: use the characters of an HTTP token"
        : _connection.Contains(name, StringComparer.OrdinalIgnoreCase) ? "belongs to the connection or the framing of its message"
        : name.StartsWith("mesh-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("grpc-", StringComparison.OrdinalIgnoreCase) ? "belongs to the mesh or to gRPC"
        : null;

    private static HeaderChanges Request(IReadOnlyList<HeaderValueOption> add, IReadOnlyList<string> remove, string prefix, DecodeErrors errors) =>
        Decode(add, remove, $"{prefix}request_headers_to", errors);

    private static HeaderChanges Response(IReadOnlyList<HeaderValueOption> add, IReadOnlyList<string> remove, string prefix, DecodeErrors errors) =>
        Decode(add, remove, $"{prefix}response_headers_to", errors);

    private static HeaderChanges Decode(IReadOnlyList<HeaderValueOption> add, IReadOnlyList<string> remove, string path, DecodeErrors errors)
    {
        if (add.Count == 0 && remove.Count == 0)
        {
            return HeaderChanges.None;
        }

        var (changes, adding) = (new List<HeaderChange>(), new List<HeaderChange>());
        for (var i = 0; i < remove.Count; i++)
        {
            CheckName(remove[i], $"{path}_remove[{i}]", errors);
            changes.Add(new HeaderChange(remove[i].ToLowerInvariant(), string.Empty, HeaderChangeKind.Remove));
        }

        for (var i = 0; i < add.Count; i++)
        {
            if (Change(add[i], $"{path}_add[{i}]", errors) is { } change)
            {
                (change.Kind is HeaderChangeKind.Set or HeaderChangeKind.SetIfPresent ? changes : adding).Add(change);
            }
        }

        return new HeaderChanges([.. changes, .. adding]);
    }

    private static HeaderChange? Change(HeaderValueOption given, string path, DecodeErrors errors)
    {
        if (given.Header is not { } header)
        {
            errors.Add($"{path}.header", "is not set", "Give key and value.");
            return null;
        }

        CheckName(header.Key, $"{path}.header.key", errors);
        var value = header.Value;
        if (!header.RawValue.IsEmpty)
        {
            errors.Add($"{path}.header.raw_value", $"has {header.RawValue.Length} bytes", "Use value: only text is supported.");
        }
        else if (value.AsSpan().ContainsAny('\r', '\n', '\0'))
        {
            errors.Add($"{path}.header.value", "has a line break or NUL", "Write it on one line.");
        }
        else if (value.Replace("%%", string.Empty, StringComparison.Ordinal).Contains('%', StringComparison.Ordinal))
        {
            errors.Add($"{path}.header.value", $"is '{value}'", "Variables (%NAME%) are not supported; write a percent sign as %%.");
        }

        var kind = given.AppendAction switch
        {
            HeaderValueOption.Types.HeaderAppendAction.AddIfAbsent => HeaderChangeKind.AddIfAbsent,
            HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExistsOrAdd => HeaderChangeKind.Set,
            HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExists => HeaderChangeKind.SetIfPresent,
            _ => given.Append == false ? HeaderChangeKind.Set : HeaderChangeKind.Append,
        };
        if (given.Append is not null && given.AppendAction != HeaderValueOption.Types.HeaderAppendAction.AppendIfExistsOrAdd)
        {
            errors.Add($"{path}.append", "is set, and so is append_action", "Use append_action alone.");
        }

        // A header without value is not sent (Envoy, keep_empty_value).
        return value.Length == 0 ? null : new HeaderChange(header.Key.ToLowerInvariant(), value.Replace("%%", "%", StringComparison.Ordinal), kind);
    }

    private static void CheckName(string name, string path, DecodeErrors errors)
    {
        if (WhyNot(name) is { } why)
        {
            errors.Add(path, $"is '{name}', which {why}", "Leave it out.");
        }
    }
}
