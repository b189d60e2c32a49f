using System.Net;
using System.Net.Http.Headers;
using Mesh.Outbound;

namespace Mesh.Client.Tests;

/// <summary>A gRPC request's body that goes on until it breaks.</summary>
internal sealed class BreakingBody : HttpContent, ICallerBody
{
    private readonly bool _byCaller;
    private readonly TaskCompletionSource _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="byCaller">It is read from a caller's connection.</param>
    public BreakingBody(bool byCaller)
    {
        _byCaller = byCaller;
        Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
    }

    public bool CallerFailed { get; private set; }

    public void Break()
    {
        CallerFailed = _byCaller;
        _broken.SetException(new IOException("reset"));
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        await stream.FlushAsync();
        await _broken.Task;
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
