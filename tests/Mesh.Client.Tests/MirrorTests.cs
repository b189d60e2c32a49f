using System.Net.Http.Json;
using Mesh.Config;
using Mesh.Outbound;
using Mesh.Outbound.Steps;
using Mesh.Telemetry;
using Mesh.Testing;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Copies of calls over real connections.</summary>
public sealed class MirrorTests : IAsyncLifetime
{
    private SteeredService _service = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _service = await SteeredService.StartAsync();

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task Get_IsCopiedAsTheServerSeesIt_WithItsHostMarked()
    {
        Serve(f => f with { PathRewrite = new PathRewrite.Full("/new") });
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/old?x=1");
        request.Headers.Add("X-Own", "1");

        using var response = await _service.Program.Client().SendAsync(request, Cancel);

        Assert.Equal("a", await response.Content.ReadAsStringAsync(Cancel));
        await CopiedAsync(1);
        var copy = Assert.Single(_service.Seen["b"]);
        Assert.Equal(("GET", "/new?x=1", "catalog-shadow", "1"), (copy.Method, copy.Target, copy.Host, copy.Headers["x-own"]));
        Assert.Equal("catalog", Assert.Single(_service.Seen["a"]).Host);
        Assert.Contains("mirror:sent", _service.Decided);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("json")]
    [InlineData("stream")]
    public async Task Body_IsSentToBoth(string kind)
    {
        Serve();
        using HttpContent content = kind switch
        {
            "text" => new StringContent("\"body\""),
            "json" => JsonContent.Create("body"),
            _ => new StreamContent(new MemoryStream("\"body\""u8.ToArray())),
        };
        using (await _service.Program.Client().PostAsync(new Uri("http://catalog/"), content, Cancel))
        {
            // The answer is dropped and its request too, while the copy may be on its way.
        }

        await CopiedAsync(1);
        Assert.Equal("\"body\"", Assert.Single(_service.Seen["a"]).Body);
        Assert.Equal("\"body\"", Assert.Single(_service.Seen["b"]).Body);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Body_TooLong_GoesToTheServerWhole_AndIsNotCopied(bool stream)
    {
        Serve();
        var bytes = new byte[MirrorStep.MaxBodyBytes + 1];
        using HttpContent content = stream ? new StreamContent(new MemoryStream(bytes)) : new ByteArrayContent(bytes);
        using var response = await _service.Program.Client().PostAsync(new Uri("http://catalog/"), content, Cancel);

        Assert.Equal(bytes.Length, Assert.Single(_service.Seen["a"]).Body.Length);
        Assert.Equal(["mirror:body"], _service.Decided);
        Assert.Empty(_service.Seen["b"]);
    }

    [Theory]
    [InlineData("b")]
    [InlineData("gone")]
    public async Task Copy_ThatFails_IsNoFailureOfTheCall(string mirror)
    {
        _service.Answering = context =>
        {
            if (context.Request.Host.Value!.EndsWith("-shadow", StringComparison.Ordinal))
            {
                context.Abort();
            }

            return Task.CompletedTask;
        };
        Serve(mirror: mirror);

        Assert.Equal("a", await _service.Program.Client().GetStringAsync("http://catalog/", Cancel));

        await Eventually.Async(() => Count(MeshTags.ClientAttemptDuration, MeshTags.Failure) == (mirror == "b" ? 1 : 0) && Count(MeshTags.ClientCallDuration, MeshTags.Success) == 1, "both to be counted");
        Assert.Equal(0, Count(MeshTags.ClientCallDuration, MeshTags.Failure));
        Assert.Equal(1, Count(MeshTags.ClientAttemptDuration, MeshTags.Success));
        Assert.Equal(["mirror:sent"], _service.Decided);
    }

    [Fact]
    public async Task Copies_BeyondWhatIsAllowed_AreDropped_AndNoCallWaits()
    {
        var open = new TaskCompletionSource();
        _service.Answering = context => context.Request.Host.Value!.EndsWith("-shadow", StringComparison.Ordinal) ? open.Task : Task.CompletedTask;
        Serve();
        for (var i = 0; i < MirrorStep.MaxInFlight + 3; i++)
        {
            Assert.Equal("a", await _service.Program.Client().GetStringAsync("http://catalog/", Cancel));
        }

        Assert.Equal(3, _service.Decided.Count(d => d == "mirror:busy"));
        Assert.Equal(MirrorStep.MaxInFlight, _service.Decided.Count(d => d == "mirror:sent"));
        open.SetResult();
        await CopiedAsync(MirrorStep.MaxInFlight);
    }

    [Fact]
    public async Task Share_Zero_CopiesNothing()
    {
        Serve(share: 0);
        Assert.Equal("a", await _service.Program.Client().GetStringAsync("http://catalog/", Cancel));
        Assert.Empty(_service.Decided);
    }

    [Theory]
    [InlineData("cart", "cart-shadow")]
    [InlineData("cart.shop:8080", "cart.shop-shadow:8080")]
    [InlineData("10.0.0.1:80", "10.0.0.1-shadow:80")]
    [InlineData("[::1]:80", "[::1]:80")]
    public void Shadow_Host_IsMarkedBeforeItsPort(string host, string expected) => Assert.Equal(expected, MirrorCopy.Shadow(host));

    private long Count(string metric, string outcome) => _service.Program.Count(metric, (MeshTags.Outcome, outcome));

    private Task CopiedAsync(int copies) => Eventually.Async(() => _service.Seen["b"].Count == copies, $"{copies} copies to arrive");

    private void Serve(Func<RouteAction.Forward, RouteAction.Forward>? change = null, string mirror = "b", int share = 1_000_000) => _service.Serve(SteeredService.Route(f =>
    {
        f = f with { Mirrors = [new Mirror(SteeredService.Cluster(mirror), share)] };
        return change?.Invoke(f) ?? f;
    }));
}
