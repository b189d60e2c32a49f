using System.Net;
using System.Text;

namespace Mesh.Client.Tests;

/// <summary>A body that does not end before it is told to.</summary>
/// <param name="stays">Also when nobody wants it any more, as one whose last bytes are out and that does not know it yet.</param>
internal sealed class OpenContent(string begin, bool stays = false) : HttpContent
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void End() => _end.SetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(Encoding.UTF8.GetBytes(begin), cancellationToken);
        await stream.FlushAsync(cancellationToken);
        await _end.Task.WaitAsync(stays ? CancellationToken.None : cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
