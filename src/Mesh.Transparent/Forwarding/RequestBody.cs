using System.Net;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;

namespace Mesh.Transparent.Forwarding;

/// <summary>The body of a request being served, as the content of the request that is given on: read when it is sent, once, as fast as the server takes it.</summary>
internal sealed class RequestBody : HttpContent, ICallerBody
{
    private readonly HttpContext _context;
    private readonly long? _length;
    private readonly CancellationTokenSource _stop = new();
    private Task _copying = Task.CompletedTask;
    private bool _begun;

    /// <param name="length">As declared; null is not.</param>
    public RequestBody(HttpContext context, long? length) => (_context, _length) = (context, length);

    /// <summary>It could not be read: the client left, or sent what is no body. The server is not to blame then.</summary>
    public bool CallerFailed { get; private set; }

    /// <summary>Bytes that were sent on.</summary>
    public long Sent { get; private set; }

    /// <summary>Nobody reads the request any more when this has ended: then the context may serve another one.</summary>
    public async ValueTask StopAsync()
    {
        if (!_copying.IsCompleted)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
        }

        await _copying.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) => _copying = CopyAsync(stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = _length ?? 0;
        return _length is not null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && _copying.IsCompleted)
        {
            _stop.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task CopyAsync(Stream to, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stop.Token);
        var reader = _context.Request.BodyReader;
        if (_begun)
        {
            throw new InvalidOperationException("The body was read already: it can't be sent again.");
        }

        if (_length is null or > 0)
        {
            // The headers go out before the first byte of the body comes: the server may answer to them.
            await to.FlushAsync(either.Token).ConfigureAwait(false);
        }

        while (true)
        {
            System.IO.Pipelines.ReadResult read;
            try
            {
                read = await reader.ReadAsync(either.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                CallerFailed = true;
                throw;
            }

            _begun |= !read.Buffer.IsEmpty;
            foreach (var segment in read.Buffer)
            {
                await to.WriteAsync(segment, either.Token).ConfigureAwait(false);
                Sent += segment.Length;
            }

            var isEmpty = read.Buffer.IsEmpty;
            reader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return;
            }

            if (!isEmpty)
            {
                await to.FlushAsync(either.Token).ConfigureAwait(false);
            }
        }
    }
}
