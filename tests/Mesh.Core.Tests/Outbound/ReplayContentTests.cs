using System.Net;
using Mesh.Outbound;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Outbound;

/// <summary>A body that the framework asks for twice within one attempt, as it does when a connection goes away before it took the request.</summary>
public sealed class ReplayContentTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Body_WhoseConnectionBroke_IsWrittenAnewAndKept()
    {
        using var content = new ReplayContent(new OneWrite("body"));
        await Assert.ThrowsAsync<HttpRequestException>(() => content.CopyToAsync(new BrokenStream(), Token));
        Assert.False(content.CanReplay);

        Assert.Equal("body", await WriteAsync(content));
        Assert.True(content.IsKept);
        Assert.Equal("body", await WriteAsync(content));
    }

    [Fact]
    public async Task Body_ThatIsNotKept_IsWrittenAnew()
    {
        using var content = new ReplayContent(new OneWrite("body"), keep: false);
        Assert.Equal("body", await WriteAsync(content));
        Assert.False(content.CanReplay);
        Assert.Equal("body", await WriteAsync(content));
    }

    [Fact]
    public async Task Body_StillBeingWritten_WaitsForItsEnd()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // The clock stands: it is the end of the write that is waited for, and no look every now and then.
        using var content = new ReplayContent(new OneWrite("body"), time: new FakeTimeProvider());
        var first = content.CopyToAsync(new BrokenStream(gate.Task), Token);
        var second = WriteAsync(content);
        Assert.False(second.IsCompleted);
        gate.SetResult();
        await Assert.ThrowsAsync<HttpRequestException>(() => first);
        Assert.Equal("body", await second.WaitAsync(TimeSpan.FromSeconds(30), Token));
    }

    [Fact]
    public async Task Stream_ThatItsCallerStillFeeds_CantBeSentAgain()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var time = new FakeTimeProvider();
        using var content = new ReplayContent(new OneWrite("body"), time: time);
        var first = content.CopyToAsync(new BrokenStream(gate.Task), Token);
        var second = WriteAsync(content);
        time.Advance(TimeSpan.FromMilliseconds(499));
        Assert.False(second.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => second);
        Assert.Contains("still being sent", Assert.IsType<IOException>(refused.InnerException).Message, StringComparison.Ordinal);
        gate.SetResult();
        await Assert.ThrowsAsync<HttpRequestException>(() => first);
    }

    [Fact]
    public async Task Stream_ThatCanBeReadOnce_SaysSo()
    {
        await using var once = new ReadOnce("body"u8.ToArray());
        using var content = new ReplayContent(new StreamContent(once), keep: false);
        Assert.Equal("body", await WriteAsync(content));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => WriteAsync(content));
        Assert.Contains("can be read only once", Assert.IsType<IOException>(refused.InnerException).Message, StringComparison.Ordinal);
    }

    private static async Task<string> WriteAsync(HttpContent content)
    {
        using var stream = new MemoryStream();
        await content.CopyToAsync(stream, Token);
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>Writes the same each time it is asked, as the content of a unary gRPC call does; of no known length.</summary>
    private sealed class OneWrite(string text) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context) => await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(text), Token);

        protected override bool TryComputeLength(out long length)
        {
            length = -1;
            return false;
        }
    }

    private sealed class BrokenStream(Task? until = null) : MemoryStream
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await (until ?? Task.CompletedTask);
            throw new IOException("The connection is gone.");
        }
    }

    private sealed class ReadOnce(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
