using Mesh.Testing;
using Mesh.Transparent.Commands;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>The program itself, as a container's entry point, beside an admin port that says what a proxy's says.</summary>
public sealed class AwaitCommandTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private readonly WebApplication _admin = Admin();
    private int _asked;
    private int _drained;
    private int _readyAfter;

    private string Ready => _admin.Urls.First() + "/ready";

    public async ValueTask InitializeAsync()
    {
        _admin.MapGet("/ready", () => Results.StatusCode(Interlocked.Increment(ref _asked) > _readyAfter ? 200 : 503));
        _admin.MapPost("/drain", () => Results.StatusCode(Interlocked.Increment(ref _drained) > 0 ? 202 : 500));
        await _admin.StartAsync();
    }

    public async ValueTask DisposeAsync() => await _admin.DisposeAsync();

    [Fact]
    public async Task Await_WhenReady_BecomesTheCommand()
    {
        _readyAfter = 2;
        await using var process = ProxyProgram.Start(["await", "--url", Ready, "--", "sh", "-c", "echo $$ $GREETING $1; exit 7", "sh", "a b"], new Dictionary<string, string> { ["GREETING"] = "hello" });

        Assert.Equal(7, await process.ExitAsync(Limit));
        Assert.Equal($"{process.Id} hello a b\n", process.Output);
        Assert.Equal(3, _asked);
        Assert.Equal(0, _drained);
    }

    [Fact]
    public async Task Await_TheCommand_IgnoresNoSignal()
    {
        await using var process = ProxyProgram.Start(["await", "--url", Ready, "--", "grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]);

        Assert.Equal(0, await process.ExitAsync(Limit));
        Assert.Equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", process.Output);
    }

    [Fact]
    public async Task Await_WithoutACommand_EndsWhenReady()
    {
        await using var process = ProxyProgram.Start(["await", "--url", Ready]);

        Assert.Equal(0, await process.ExitAsync(Limit));
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task Await_NotReadyInTime_Is124AndRunsNothing()
    {
        _readyAfter = int.MaxValue;
        var time = new FakeTimeProvider();
        using var errors = new StringWriter();
        var waiting = AwaitCommand.RunAsync(["--shutdown", "--timeout", "24h", "--url", Ready, "--", "sh", "-c", "exit 5"], new(TextWriter.Null, errors, _ => null, time));

        // The third question shows that the first was answered.
        await Eventually.Async(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(200));
                return _asked >= 3;
            },
            "it asks again and again",
            Limit);
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromHours(24));

        Assert.Equal(124, await waiting.WaitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Contains("not ready after 86400 s", errors.ToString(), StringComparison.Ordinal);
        Assert.Contains("answered 503", errors.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, _drained);
    }

    [Fact]
    public async Task Await_NobodyListens_Is124WithTheReason()
    {
        await using var process = ProxyProgram.Start(["await", "--url", $"http://127.0.0.1:{FreePort.Next()}/ready", "--timeout", "300ms"]);

        Assert.Equal(124, await process.ExitAsync(Limit));
        Assert.Contains("did not answer", process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Await_Shutdown_DrainsAfterTheCommandAndEndsAsItDid()
    {
        await using var process = ProxyProgram.Start(["await", "--shutdown", "--url", Ready, "--", "sh", "-c", "echo working; exit 3"]);

        Assert.Equal(3, await process.ExitAsync(Limit));
        Assert.Equal("working\n", process.Output);
        Assert.Equal(1, _drained);
    }

    [Theory]
    [InlineData(15, "TERM")]
    [InlineData(2, "INT")]
    [InlineData(10, "USR1")]
    public async Task Await_Shutdown_PassesSignalsOn(int number, string name)
    {
        await using var process = ProxyProgram.Start(
            ["await", "--shutdown", "--url", Ready, "--", "sh", "-c", $"trap 'echo got {name}; exit 9' {name}; echo up; while :; do sleep 0.05; done"]);
        await process.OutputAsync("up", Limit);

        Assert.Equal(0, _drained);
        process.Signal(number);

        Assert.Equal(9, await process.ExitAsync(Limit));
        Assert.Contains($"got {name}", process.Output, StringComparison.Ordinal);
        Assert.Equal(1, _drained);
    }

    [Fact]
    public async Task Await_ShutdownOfACommandThatASignalEnds_Is128AndItsNumber()
    {
        await using var process = ProxyProgram.Start(["await", "--shutdown", "--url", Ready, "--", "sh", "-c", "kill -KILL $$"]);

        Assert.Equal(137, await process.ExitAsync(Limit));
        Assert.Equal(1, _drained);
    }

    [Fact]
    public async Task Await_ProxyGoneBeforeTheCommandEnds_EndsAsTheCommandDid()
    {
        await using var process = ProxyProgram.Start(
            ["await", "--shutdown", "--url", Ready, "--", "sh", "-c", "trap 'exit 4' TERM; echo up; while :; do sleep 0.05; done"]);
        await process.OutputAsync("up", Limit);
        await _admin.StopAsync(TestContext.Current.CancellationToken);
        process.Signal(15);

        Assert.Equal(4, await process.ExitAsync(Limit));
        Assert.Contains("could not be told to drain", process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Await_Disabled_RunsTheCommandAndAsksNobody()
    {
        await using var process = ProxyProgram.Start(
            ["await", "--shutdown", "--url", Ready, "--", "sh", "-c", "exit 4"],
            new Dictionary<string, string> { ["MESH_AWAIT_DISABLED"] = "true" });

        Assert.Equal(4, await process.ExitAsync(Limit));
        Assert.Equal(0, _asked);
        Assert.Equal(0, _drained);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Await_NoSuchCommand_Is127(bool shutdown)
    {
        string[] options = shutdown ? ["--shutdown"] : [];
        await using var process = ProxyProgram.Start(["await", .. options, "--url", Ready, "--", "no-such-program"]);

        Assert.Equal(127, await process.ExitAsync(Limit));
        Assert.Contains("'no-such-program' can't be run", process.Errors, StringComparison.Ordinal);
        Assert.Equal(shutdown ? 1 : 0, _drained);
    }

    [Theory]
    [InlineData("--url", "https://127.0.0.1/ready", "--url 'https://127.0.0.1/ready' is not an http:// URL")]
    [InlineData("--shutdown", "--timeout=1s", "--shutdown is about the command's end")]
    [InlineData("echo", "hello", "write -- before the command to run")]
    public async Task Await_BadOption_Is64(string first, string second, string message)
    {
        using var errors = new StringWriter();

        Assert.Equal(64, await AwaitCommand.RunAsync([first, second], new(TextWriter.Null, errors, _ => null, TimeProvider.System)));
        Assert.Contains(message, errors.ToString(), StringComparison.Ordinal);
    }

    private static WebApplication Admin()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        return builder.Build();
    }
}
