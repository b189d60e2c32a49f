using System.Collections.Frozen;
using Mesh.Tap;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Tap;

/// <summary>What a tap takes, how much of it, and what of it leaves the process.</summary>
public sealed class TapValueTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData("/prices/7?a=ä€😀", "/prices/7?a=ä€😀")]
    [InlineData("a\u001b[31m\r\n\0\u007f\u0085b", "a\ufffd[31m\ufffd\ufffd\ufffd\ufffd\ufffdb")]
    [InlineData("x\u202egnp.exe\u2066\u2028\ufeff", "x\ufffdgnp.exe\ufffd\ufffd\ufffd")]
    [InlineData(null, "")]
    public void Text_OfStrangers_DoesNothing(string? text, string harmless) => Assert.Equal(harmless, TapText.Of(text));

    [Fact]
    public void Text_TooLong_IsCut_AndNotWithinACharacter()
    {
        Assert.Equal(new string('a', 256) + "…", TapText.Of(new string('a', 65_536)));
        // Attributes can't hold broken pairs.
        Assert.Equal("\ufffdx\ufffd", TapText.Of("\ud83dx\ude00"));
        Assert.Equal("aaa…", TapText.Of("aaa😀b", longest: 4));
        Assert.Equal("aaa😀", TapText.Of("aaa😀", longest: 5));
        Assert.True(TapText.IsClean(TapText.Of(new string('\u0001', 1000))));
        Assert.False(TapText.IsClean("\u001b"));
    }

    [Theory]
    [InlineData("", 404, -1, false, true)]
    [InlineData("503", 503, -1, true, true)]
    [InlineData("503", 500, -1, true, false)]
    [InlineData("5xx", 599, -1, true, true)]
    [InlineData("4XX", 500, -1, true, false)]
    [InlineData("failed", 200, 14, true, true)]
    [InlineData("failed", 404, -1, false, false)]
    [InlineData("grpc:14", 200, 14, true, true)]
    [InlineData("grpc:0", 200, -1, false, false)]
    public void Status_Takes(string status, int http, int grpc, bool failed, bool takes)
    {
        Assert.True(TapStatus.TryParse(status, out var parsed));
        Assert.Equal(takes, parsed.Takes(Facts(status: http, grpc: grpc, failed: failed)));
    }

    [Theory]
    [InlineData("6xx")]
    [InlineData("99")]
    [InlineData("600")]
    [InlineData("grpc:17")]
    [InlineData("grpc:")]
    [InlineData("-503")]
    [InlineData("Failed")]
    public void Status_Nonsense_IsRefused(string status) => Assert.False(TapStatus.TryParse(status, out _));

    [Fact]
    public void Settings_TakeWhatAllOfThemTake()
    {
        var settings = Settings(client: new TapSide("pricing", "", []), server: new TapSide("", "shop", ["shop/cart"])) with { Method = "GET", Path = "/prices/*", MinLatency = TimeSpan.FromMilliseconds(10) };

        Assert.True(settings.Takes(Facts()));
        Assert.True(settings.Takes(Facts() with { Method = "get", Path = "/prices/" }));
        Assert.False(settings.Takes(Facts() with { PeerName = "catalog" }));
        Assert.False(settings.Takes(Facts() with { Method = "POST" }));
        Assert.False(settings.Takes(Facts() with { Path = "/price" }));
        Assert.False(settings.Takes(Facts() with { Latency = TimeSpan.FromMilliseconds(9) }));
        Assert.True(settings.Takes(Facts() with { Server = true, PeerName = "web" }));
        Assert.False(settings.Takes(Facts() with { Server = true, PeerName = "cart" }));
        Assert.False(settings.Takes(Facts() with { Server = true, PeerName = "web", PeerNamespace = "bank" }));
        Assert.False((settings with { Client = null }).Takes(Facts()));
        Assert.True((settings with { Path = "/prices/7" }).Takes(Facts()));
        Assert.False((settings with { Path = "/prices" }).Takes(Facts()));
    }

    [Fact]
    public void Rate_ASecondsWorthAtOnce_ThenEvenly_TheRestIsCountedAsDropped()
    {
        var tap = new ActiveTap(Settings(rate: 10), _time.TimestampFrequency);

        int Take(int tries) => Enumerable.Range(0, tries).Count(_ => tap.Wants(Facts(), _time.GetTimestamp()));

        Assert.Equal(10, Take(100));
        _time.Advance(TimeSpan.FromMilliseconds(500));
        Assert.Equal(5, Take(100));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(10, Take(100));
        Assert.Equal((300, 275), (tap.Seen, tap.Dropped));
        // One in two seconds is one in two seconds.
        tap = new ActiveTap(Settings(rate: 0.5), _time.TimestampFrequency);
        Assert.Equal(1, Take(10));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, Take(10));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, Take(10));
    }

    [Fact]
    public void Point_WithoutTaps_IsNull_AndWhatIsTooMuchIsDroppedNotKept()
    {
        var point = new TapPoint(_time);
        Assert.Null(point.Taps);
        Assert.True(point.Start(Settings(rate: 10_000)));
        Assert.True(point.Start(Settings(rate: 5)));
        var tap = Assert.Single(point.Taps!);
        Assert.Equal(5, tap.Settings.MaxPerSecond);
        for (var i = 0; i < TapPoint.MostWaiting + 7; i++)
        {
            point.Offer(tap, new TapExchange(false, default, default));
        }

        Assert.Equal(7, tap.Dropped);
        Assert.Equal(TapPoint.MostTaps - 1, Enumerable.Range(0, 100).Count(i => point.Start(Settings() with { Id = $"{i}" })));
        point.StopAll();
        Assert.Null(point.Taps);
        Assert.False(point.TryTake(out _, out _));
        Assert.True(point.Start(Settings()));
        point.Stop("tap");
        Assert.Null(point.Taps);
    }

    [Fact]
    public void Headers_SecretOnesNeverLeave_OthersOnlyWhenNamed_AndNotWithoutEnd()
    {
        var (taken, text) = (new Dictionary<string, string>(), 0);
        FrozenSet<string> wanted = FrozenSet.ToFrozenSet(["x-user", "authorization", "cookie", "x-api-key"], StringComparer.OrdinalIgnoreCase);
        string[] names = ["Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Mesh-Token", "X-Api-Key", "x-csrf-TOKEN", "client-secret", "X-User", "Accept"];
        foreach (var name in names)
        {
            TapHeaders.Take(taken, ref text, wanted, name, "v\u0007" + new string('x', 65_536));
        }

        Assert.Equal(["x-user", "accept"], taken.Keys);
        Assert.Equal(("v\ufffd" + new string('x', 254) + "…", "…"), (taken["x-user"], taken["accept"]));
        for (var i = 0; i < 10_000; i++)
        {
            TapHeaders.Take(taken, ref text, wanted, $"h{i}-{new string('n', 100)}", "v");
        }

        Assert.InRange(taken.Count, 10, 48);
        Assert.InRange(taken.Sum(h => h.Key.Length + h.Value.Length), 1, 4096 + 400);
    }

    [Fact]
    public void Denials_AreCountedPerCallerAndRule_WithOneExample_AndABoundedNumberOfKinds()
    {
        var denials = new DenialReports(_time);
        Assert.False(denials.Count("web", "rule", audit: false));
        Assert.False(denials.HasAny);
        var woken = 0;
        denials.Listener = () => woken++;

        Assert.True(denials.Count("web", "rule", audit: false));
        denials.Show("web", "rule", audit: false, "GET", "/\u001bx", "nearest");
        Assert.False(denials.Count("web", "rule", audit: false));
        Assert.True(denials.Count("web", "rule", audit: true));

        Assert.Equal(3, woken);
        Assert.Equal([("web", "/\ufffdx", false, 2), ("web", "", true, 1)], denials.Take().Select(d => (d.Caller, d.Path, d.Audit, d.Count)));
        Assert.Empty(denials.Take());
        Assert.Equal(DenialReports.MostKinds, Enumerable.Range(0, 1000).Count(i => denials.Count($"10.0.0.{i}", "plaintext", audit: false)));
        var many = denials.Take();
        Assert.Equal((DenialReports.MostKinds + 1, 1000), (many.Count, many.Sum(d => d.Count)));
        Assert.Equal(1000 - DenialReports.MostKinds, many.Single(d => d.Caller == DenialReports.Others).Count);
    }

    private static TapFacts Facts(int status = 200, int grpc = -1, bool failed = false) => new(false, "pricing", "shop", "GET", "/prices/7", status, grpc, failed, TimeSpan.FromMilliseconds(10));

    private static TapSettings Settings(TapSide? client = null, TapSide? server = null, double rate = 100) => new(
        "tap", client ?? new TapSide("", "", []), server, "", "", default, TimeSpan.Zero, rate, FrozenSet<string>.Empty);
}
