using System.Diagnostics;

namespace Mesh.Outbound;

/// <summary>The copy of one request on its way to a mirror. Owned by the mirror step.</summary>
internal sealed class MirrorCopy(OutboundMirror mirror, HttpRequestMessage request, Activity? span) : IDisposable
{
    public OutboundMirror Mirror => mirror;

    /// <summary>Of the call that it is a copy of; null when nobody listens.</summary>
    public Activity? Span => span;

    /// <summary>Ours: nothing of it is shared with the caller's.</summary>
    public HttpRequestMessage Request => request;

    /// <summary>Copies everything but the body; the host tells that it is a copy (Envoy: <c>-shadow</c>).</summary>
    public static MirrorCopy Of(OutboundCall call, OutboundMirror mirror)
    {
        var request = call.Request;
        var copy = new HttpRequestMessage(request.Method, request.RequestUri) { Version = request.Version, VersionPolicy = request.VersionPolicy };
        foreach (var header in request.Headers.NonValidated)
        {
            if (!header.Key.Equals("Host", StringComparison.OrdinalIgnoreCase))
            {
                copy.Headers.TryAddWithoutValidation(header.Key, (IEnumerable<string>)header.Value);
            }
        }

        copy.Headers.TryAddWithoutValidation("Host", Shadow(request.Headers.Host ?? request.RequestUri!.Authority));
        if (request.Content is { } content)
        {
            // Until the bytes are known; the headers may change again meanwhile.
            SetBody(copy, content, ReadOnlyMemory<byte>.Empty);
        }

        return new MirrorCopy(mirror, copy, call.Activity);
    }

    public void SetBody(ReadOnlyMemory<byte> bytes)
    {
        using var head = request.Content!;
        SetBody(request, head, bytes);
    }

    public void Dispose() => request.Dispose();

    /// <summary>The suffix goes before the port. An address in brackets can have none.</summary>
    internal static string Shadow(string host)
    {
        var colon = host.LastIndexOf(':');
        return host.StartsWith('[') ? host : colon < 0 ? host + "-shadow" : string.Concat(host.AsSpan(0, colon), "-shadow", host.AsSpan(colon));
    }

    private static void SetBody(HttpRequestMessage request, HttpContent head, ReadOnlyMemory<byte> bytes)
    {
        request.Content = new ReadOnlyMemoryContent(bytes);
        HttpHeaderCopy.Copy(head.Headers, request.Content.Headers);

        // The length is that of the bytes.
        request.Content.Headers.ContentLength = null;
    }
}
