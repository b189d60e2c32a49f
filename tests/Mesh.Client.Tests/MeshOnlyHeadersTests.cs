using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Testing;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Verified claims go to mesh peers alone (issue 4); what comes in does not grow without end on its way out (checklist C 31).</summary>
public sealed class MeshOnlyHeadersTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly WireMockServer _partner = WireMockServer.Start();
    private MeshedProgram _program = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithBody("ok"));
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        _partner.Stop();
        _partner.Dispose();
        _ca.Dispose();
    }

    [Fact]
    public async Task Claims_ToAMeshPeer_AreSentOn()
    {
        var seen = string.Empty;
        await using var backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), context =>
        {
            seen = context.Request.Headers["x-mesh-claim-sub"].ToString();
            return Task.CompletedTask;
        });
        _program.Serve("catalog", [backend.Endpoint]);
        using var request = Ask("http://catalog/");

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal("ada", seen);
    }

    [Fact]
    public async Task Claims_ToAnEndpointWithoutMeshTls_AreTakenOutAndGivenBack()
    {
        _program.Serve("partner", [new Endpoint("127.0.0.1", _partner.Port, 1, true)]);
        using var request = Ask("http://partner/");

        using var response = await _program.Client().SendAsync(request, Cancel);

        AssertTakenOut(request);
    }

    [Fact]
    public async Task Claims_ToAHostOutsideOfTheMesh_AreTakenOutAndGivenBack()
    {
        using var request = Ask(_partner.Url!);

        using var response = await _program.Client().SendAsync(request, Cancel);

        AssertTakenOut(request);
    }

    [Fact]
    public async Task Claims_CallThatFails_AreGivenBack()
    {
        using var request = Ask($"http://127.0.0.1:{FreePort.Next()}/");

        await Assert.ThrowsAsync<HttpRequestException>(() => _program.Client().SendAsync(request, Cancel));

        Assert.Equal("ada", Assert.Single(request.Headers.GetValues("X-Mesh-Claim-Sub")));
    }

    [Theory]
    [InlineData("a=1,b=2", 512, 32, "a=1,b=2")]
    [InlineData("a=1,b=2,c=3", 512, 2, "a=1,b=2")]
    [InlineData("a=1, b=2 ,c=3", 7, 32, "a=1,b=2")]
    [InlineData("a=1,bbbbbbbbbb=2,c=3", 8, 32, "a=1,c=3")]
    [InlineData("aaaaaaaaaaaa=1", 8, 32, "")]
    public void Shorten_LeavesOutWholeMembers(string list, int length, int members, string expected) => Assert.Equal(expected, TraceHeaders.Shorten(list, length, members));

    [Fact]
    public async Task TraceState_ThatCameInTooLong_GoesOnShort()
    {
        _program.Serve("partner", [new Endpoint("127.0.0.1", _partner.Port, 1, true)]);
        using var activity = new System.Diagnostics.Activity("in").SetIdFormat(System.Diagnostics.ActivityIdFormat.W3C);
        activity.TraceStateString = string.Join(',', Enumerable.Range(0, 100).Select(i => $"k{i}={new string('v', 20)}"));
        for (var i = 0; i < 100; i++)
        {
            activity.AddBaggage($"b{i}", new string('x', 200));
        }

        activity.Start();
        using var request = Ask("http://partner/");
        using var response = await _program.Client().SendAsync(request, Cancel);
        activity.Stop();

        var headers = Assert.Single(_partner.LogEntries).RequestMessage!.Headers!;
        // .NET's own W3C propagator already writes at most 256.
        Assert.InRange(headers["tracestate"].Single().Length, 200, 512);
        Assert.StartsWith("k0=", headers["tracestate"].Single(), StringComparison.Ordinal);
        Assert.InRange(headers["baggage"].Single().Length, 6000, 8192);
    }

    private static HttpRequestMessage Ask(string url)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Add("X-Mesh-Claim-Sub", "ada");
        request.Headers.Add("X-Mesh-Claim-Team", "blue");
        request.Headers.Add("X-Other", "1");
        return request;
    }

    private void AssertTakenOut(HttpRequestMessage request)
    {
        var headers = Assert.Single(_partner.LogEntries).RequestMessage!.Headers!;
        Assert.Contains("X-Other", headers.Keys);
        Assert.DoesNotContain(headers.Keys, k => k.StartsWith("X-Mesh", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(["X-Mesh-Claim-Sub", "X-Mesh-Claim-Team", "X-Other"], request.Headers.Select(h => h.Key).Order());
    }
}
