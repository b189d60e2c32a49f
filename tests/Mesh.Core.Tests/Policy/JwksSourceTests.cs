using System.Net;
using System.Text;
using Mesh.Config;
using Mesh.Jwt;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mesh.Policy;

/// <summary>Checklist B 28: WireMock is the issuer that publishes keys, changes them, is slow, fails, lies.</summary>
public sealed class JwksSourceTests : IDisposable
{
    private readonly WireMockServer _issuer = WireMockServer.Start();
    private readonly FakeTimeProvider _time = new();
    private readonly TestIssuer _first = new(keyId: "one");
    private readonly TestIssuer _second = new(keyId: "two");
    private readonly FakeLogger<JwksSource> _log = new();
    private readonly List<IDisposable> _owned = [];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private int Asked => _issuer.LogEntries.Count;

    public void Dispose()
    {
        _owned.ForEach(o => o.Dispose());
        _issuer.Stop();
        _issuer.Dispose();
        _first.Dispose();
        _second.Dispose();
    }

    [Fact]
    public async Task Get_Fresh_AsksOnce()
    {
        Publish(_first);
        var source = Source();

        var keys = await source.GetAsync(Cancel);
        _time.Advance(TimeSpan.FromMinutes(7));

        Assert.NotNull(keys);
        Assert.Same(keys, source.Current);
        Assert.Same(keys, await source.GetAsync(Cancel));
        Assert.Equal(1, Asked);
    }

    [Fact]
    public async Task Get_HundredAtOnce_OneFetch()
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)).WithDelay(300));
        var source = Source();

        var all = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Task.Run(() => source.GetAsync(Cancel).AsTask())));

        Assert.All(all, Assert.NotNull);
        Assert.Single(all.Distinct());
        Assert.Equal(1, Asked);
    }

    [Fact]
    public async Task Current_InTheLastFifth_IsServedWhileAFetchRuns()
    {
        Publish(_first);
        var source = Source();
        var old = await source.GetAsync(Cancel);
        Publish(_second);

        _time.Advance(TimeSpan.FromMinutes(8) + TimeSpan.FromSeconds(1));
        Assert.Same(old, source.Current);

        await Eventually.Async(() => !ReferenceEquals(old, source.Current), "the new keys");
        Assert.Equal(2, Asked);
        Assert.Equal("two", source.Current!.Keys[0].Id);
    }

    [Fact]
    public async Task Refresh_SameKeys_StayTheSameObject()
    {
        Publish(_first);
        var source = Source();
        var old = await source.GetAsync(Cancel);
        _time.Advance(TimeSpan.FromMinutes(11));

        Assert.Null(source.Current);
        Assert.Same(old, await source.GetAsync(Cancel));
        Assert.Equal(2, Asked);
    }

    [Fact]
    public async Task IssuerDown_LastGoodServesADay_ThenNothingDoes()
    {
        Publish(_first);
        var source = Source();
        var good = await source.GetAsync(Cancel);
        Fail(500);
        _time.Advance(TimeSpan.FromMinutes(11));

        Assert.Same(good, await source.GetAsync(Cancel));
        Assert.Same(good, source.Current);
        Assert.Equal(2, Asked);
        _time.Advance(TimeSpan.FromHours(23));
        Assert.Same(good, source.Current);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Null(source.Current);
        Assert.Null(await source.GetAsync(Cancel));
        Assert.Contains(_log.Collector.GetSnapshot(), r => r.Message.Contains("There are no keys of tokens", StringComparison.Ordinal) && r.Message.Contains("status 500", StringComparison.Ordinal));

        Publish(_second);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("two", (await source.GetAsync(Cancel))!.Keys[0].Id);
    }

    [Fact]
    public async Task IssuerNeverThere_FailsAtOnceBetweenFetches()
    {
        Fail(503);
        var source = Source();
        Assert.Null(await source.GetAsync(Cancel));
        for (var i = 0; i < 20; i++)
        {
            Assert.Null(await source.GetAsync(Cancel));
        }

        Assert.Equal(1, Asked);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(await source.GetAsync(Cancel));
        Assert.Equal(2, Asked);
    }

    [Fact]
    public async Task GetNewer_UnknownKeys_OneFetchInThirtySeconds()
    {
        Publish(_first);
        var source = Source();
        var seen = (await source.GetAsync(Cancel))!;
        Assert.Null(await source.GetNewerAsync(seen, Cancel));
        Assert.Equal(1, Asked);
        Publish(_first, _second);
        _time.Advance(TimeSpan.FromSeconds(31));

        var newer = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Task.Run(() => source.GetNewerAsync(seen, Cancel).AsTask())));

        Assert.Contains(newer, n => n?.Keys.Count == 2);
        Assert.Equal(2, Asked);
        Assert.Null(await source.GetNewerAsync(source.Current!, Cancel));
        Assert.Equal(2, Asked);
    }

    [Theory]
    [InlineData("max-age=5", 47, 61)]
    [InlineData("no-store", 47, 61)]
    [InlineData("max-age=7200", 5750, 7201)]
    [InlineData("max-age=99999999", 69_100, 86_401)]
    public async Task CacheControl_IsHeededWithinBounds(string header, int freshSeconds, int oldSeconds)
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)).WithHeader("Cache-Control", header));
        var source = Source();
        await source.GetAsync(Cancel);

        _time.Advance(TimeSpan.FromSeconds(freshSeconds));
        Assert.NotNull(source.Current);
        Assert.Equal(1, Asked);
        _time.Advance(TimeSpan.FromSeconds(oldSeconds - freshSeconds));
        Assert.Null(source.Current);
    }

    [Fact]
    public async Task Redirect_ToAMetadataServiceOrAnywhere_IsNotFollowed()
    {
        _issuer.Given(Request.Create().WithPath("/keys")).RespondWith(Response.Create().WithStatusCode(302).WithHeader("Location", "http://169.254.169.254/latest/meta-data"));
        _issuer.Given(Request.Create().WithPath("/here")).RespondWith(Response.Create().WithStatusCode(307).WithHeader("Location", "/keys2"));
        _issuer.Given(Request.Create().WithPath("/keys2")).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)));

        Assert.Null(await Source().GetAsync(Cancel));
        Assert.Null(await Source("/here").GetAsync(Cancel));

        Assert.Equal(2, Asked);
        Assert.Contains(_log.Collector.GetSnapshot(), r => r.Message.Contains("redirects are not followed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("<html>login</html>")]
    [InlineData("{\"keys\":[]}")]
    public async Task Answer_NoKeySet_IsNone(string body)
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(body));
        Assert.Null(await Source().GetAsync(Cancel));
    }

    [Fact]
    public async Task Answer_Huge_IsNotReadToItsEnd()
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first) + new string(' ', JsonWebKeySet.MaxBytes)));
        Assert.Null(await Source().GetAsync(Cancel));
        Assert.Contains("longer than", Assert.Single(_log.Collector.GetSnapshot()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_TooManyKeys_IsRefused()
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(Enumerable.Repeat(_first.Key(), 65))));
        Assert.Null(await Source().GetAsync(Cancel));
        Assert.Contains("65 keys", Assert.Single(_log.Collector.GetSnapshot()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_Slow_EndsWithTheTimeout()
    {
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)).WithDelay(TimeSpan.FromSeconds(20)));
        var fetcher = Owned(new JwksFetcher(new FetchGuard(AddressRanges.Of(["127.0.0.0/8"])), allowHttp: true, TimeProvider.System));

        var e = await Assert.ThrowsAsync<JwksException>(() => fetcher.FetchAsync(new Uri(_issuer.Url! + "/keys"), TimeSpan.FromMilliseconds(200), Cancel));

        Assert.Contains("0.2 s", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Http_NotAllowed_IsNotAsked()
    {
        Publish(_first);
        var fetcher = Owned(new JwksFetcher(new FetchGuard(AddressRanges.Of(["127.0.0.0/8"])), allowHttp: false, TimeProvider.System));

        var e = await Assert.ThrowsAsync<JwksException>(() => fetcher.FetchAsync(new Uri(_issuer.Url! + "/keys"), TimeSpan.FromSeconds(5), Cancel));

        Assert.Contains("Mesh:Jwks:AllowHttp", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, Asked);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("localhost")]
    [InlineData("[::ffff:127.0.0.1]")]
    [InlineData("127.1")]
    [InlineData("2130706433")]
    [InlineData("0x7f.0.0.1")]
    public async Task Loopback_HoweverWritten_IsNotConnectedTo(string host)
    {
        Publish(_first);
        var fetcher = Owned(new JwksFetcher(new FetchGuard(AddressRanges.None), allowHttp: true, TimeProvider.System));

        var e = await Assert.ThrowsAsync<JwksException>(() => fetcher.FetchAsync(new Uri($"http://{host}:{_issuer.Port}/keys"), TimeSpan.FromSeconds(5), Cancel));

        Assert.Contains("not a public address", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, Asked);
    }

    [Fact]
    public async Task Name_ThatTurnsToLoopback_IsNotConnectedTo()
    {
        // Rebinding: first public, then our own machine. What is checked is what is connected to.
        Publish(_first);
        var looks = 0;
        var fetcher = Owned(new JwksFetcher(new FetchGuard(AddressRanges.None), allowHttp: true, TimeProvider.System, (_, _) => Task.FromResult<IPAddress[]>(
            looks++ == 0 ? [IPAddress.Parse("127.0.0.1")] : [IPAddress.Parse("10.0.0.1"), IPAddress.IPv6Loopback])));
        var uri = new Uri($"http://keys.example:{_issuer.Port}/keys");

        Assert.Contains("127.0.0.1", (await Assert.ThrowsAsync<JwksException>(() => fetcher.FetchAsync(uri, TimeSpan.FromSeconds(5), Cancel))).Message, StringComparison.Ordinal);
        Assert.Contains("10.0.0.1", (await Assert.ThrowsAsync<JwksException>(() => fetcher.FetchAsync(uri, TimeSpan.FromSeconds(5), Cancel))).Message, StringComparison.Ordinal);
        Assert.Equal(0, Asked);
    }

    [Fact]
    public async Task Store_SameAddress_IsOneSource()
    {
        Publish(_first);
        using var store = new JwksStore(Fetcher(), _time, new Random(1), new FakeLogger<JwksStore>());
        var settings = new JwtKeys.Remote(new Uri(_issuer.Url! + "/keys"), null, TimeSpan.FromSeconds(5));

        var source = store.Get(settings);

        Assert.Same(source, store.Get(settings with { }));
        Assert.NotSame(source, store.Get(settings with { CacheDuration = TimeSpan.FromMinutes(1) }));
        Assert.NotNull(await source.GetAsync(Cancel));
        Assert.Equal("one", (await source.GetAsync(Cancel))!.Keys[0].Id);
    }

    private JwksSource Source(string path = "/keys") => new(
        new JwtKeys.Remote(new Uri(_issuer.Url! + path), null, TimeSpan.FromSeconds(5)), Fetcher(), _time, new Random(1), _log, CancellationToken.None);

    private JwksFetcher Fetcher() => Owned(new JwksFetcher(new FetchGuard(AddressRanges.Of(["127.0.0.0/8", "::1"])), allowHttp: true, _time));

    private T Owned<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private void Publish(params TestIssuer[] issuers)
    {
        _issuer.ResetMappings();
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithBody(Encoding.UTF8.GetBytes(TestIssuer.Set(issuers))));
    }

    private void Fail(int status)
    {
        _issuer.ResetMappings();
        _issuer.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(status));
    }
}
