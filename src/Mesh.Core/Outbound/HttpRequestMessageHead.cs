using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>What routing sees of an HttpClient request. Made only for routes that look at the call.</summary>
internal sealed class HttpRequestMessageHead(HttpRequestMessage request) : RequestHead
{
    public override string Method => request.Method.Method;

    public override string Authority => request.Headers.Host ?? request.RequestUri!.Authority;

    public override string Path => request.RequestUri!.AbsolutePath;

    public override string Query => request.RequestUri!.Query is { Length: > 1 } query ? query[1..] : string.Empty;

    public override string? Header(string name) => name switch
    {
        ":method" => Method,
        ":path" => request.RequestUri!.PathAndQuery,
        ":authority" => Authority,
        _ => request.Headers.NonValidated.TryGetValues(name, out var values) || (request.Content?.Headers.NonValidated.TryGetValues(name, out values) ?? false)
            ? values.Count == 1 ? values.ToString() : string.Join(',', values)
            : null,
    };
}
