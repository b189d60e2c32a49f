using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Tap;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>Taps between who looks, over HTTP, and data planes that attend, over mTLS.</summary>
public sealed class TapTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hurry_WhoAttendsAndWhoComesLater_AreAskedForNumbersEachSecond()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        var planes = controlPlane.Services.GetRequiredService<IDataPlanes>();
        await Eventually.Async(() => planes.Count == 1, "it attends");

        planes.Hurry(TimeSpan.FromSeconds(30));
        planes.Hurry(TimeSpan.FromSeconds(30));

        var order = (await cart.NextAsync()).Hurry;
        Assert.Equal((1000u, 30_000u), (order.IntervalMs, order.LastsMs));
        await using var late = await FakeDataPlane.StartAsync(controlPlane, "late");
        order = (await late.NextAsync()).Hurry;
        Assert.Equal(1000u, order.IntervalMs);
        Assert.InRange(order.LastsMs, 1u, 30_000u);
    }

    [Fact]
    public async Task Attend_WithoutCertificateOrHello_IsRefused()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var stranger = controlPlane.TlsChannel();
        using var call = new Protos.Tap.TapService.TapServiceClient(stranger).Attend(deadline: DateTime.UtcNow.AddSeconds(20), cancellationToken: Token);
        Assert.Equal(StatusCode.Unauthenticated, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Token))).StatusCode);

        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        using var rude = new Protos.Tap.TapService.TapServiceClient(channel).Attend(deadline: DateTime.UtcNow.AddSeconds(20), cancellationToken: Token);
        await rude.RequestStream.WriteAsync(new TapReport(), Token);
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => rude.ResponseStream.MoveNext(Token))).StatusCode);
    }

    [Fact]
    public async Task Tap_ByLabels_AsksWhoHasThem_AndTheCalledSideOnlyOfCallersWithout()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(new MeshModel { Workloads = [Labelled("shop", "cart"), Labelled("shop", "pricing"), Labelled("shop", "web", "edge"), Labelled("bank", "till")] });
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        await using var pricing = await FakeDataPlane.StartAsync(controlPlane, "pricing");
        await using var web = await FakeDataPlane.StartAsync(controlPlane, "web");
        await using var till = await FakeDataPlane.StartAsync(controlPlane, "till", ns: "bank");
        var planes = controlPlane.Services.GetRequiredService<IDataPlanes>();
        await Eventually.Async(() => planes.Count == 4, "all attend");

        await using (var tap = await SseReader.OpenAsync(controlPlane, "/api/v1/tap?labels=tier=back,team+notin+(edge)"))
        {
            foreach (var plane in new[] { cart, pricing, till })
            {
                var start = (await plane.NextAsync()).Start;
                Assert.Equal((string.Empty, string.Empty), (start.Client.Name, start.Server.Name));
                Assert.Equal(["bank/till", "shop/cart", "shop/pricing"], start.Server.Except);
            }

            Assert.Equal(3, (await tap.NextAsync("stats")).GetProperty("data_planes").GetInt32());
        }

        // Beside other filters, and of a replica that is asked: the words go as they are.
        var question = new TapQuestion(7) { Namespace = "shop", Labels = LabelSelector.Parse("team,!old", out _) };
        Assert.Equal("team,!old", TapQuestions.Read(TapQuestions.Write(question), 7).Labels!.ToString());
        await using var top = await SseReader.OpenAsync(controlPlane, "/api/v1/top?labels=tier=back&destination=pricing&destination_namespace=shop");
        Assert.Equal("pricing", (await till.NextAsync(TapOrder.OrderOneofCase.Start)).Start.Client.Name);

        static Workload Labelled(string ns, string account, string team = "core") =>
            new(ns, account, "10.0.0.1", null, account, ImmutableSortedDictionary<string, string>.Empty.Add("tier", "back").Add("team", team));
    }

    [Fact]
    public async Task Tap_WhatADataPlaneSaw_IsShownAsItsIdentityWithItsRate_AndEndsWithTheRequest()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        TapOrder order;
        await using (var tap = await SseReader.OpenAsync(controlPlane, "/api/v1/tap?source=cart&destination=pricing&path=/prices/*&status=5xx&min_ms=2&headers=x-user,authorization&max_rps=50"))
        {
            Assert.Contains("authorization", (await tap.NextAsync("notice")).GetProperty("text").GetString(), StringComparison.Ordinal);
            order = await cart.NextAsync();
            Assert.Equal(("pricing", "", null, "/prices/*", "5xx", 2.0, 50.0), (order.Start.Client.Name, order.Start.Client.Namespace, order.Start.Server, order.Start.Path, order.Start.Status, order.Start.MinLatencyMs, order.Start.MaxPerSecond));
            Assert.Equal(["x-user"], order.Start.Headers);
            var seen = Seen(order.Start.Id);
            seen.RequestHeaders.Add(new Dictionary<string, string> { ["x-user"] = "ann", ["accept"] = "text/html", ["authorization"] = "Bearer leaked", ["x-api-key"] = "leaked" });
            await cart.SayAsync(new TapReport { Exchanges = { seen } });

            var shown = await tap.NextAsync("request");

            Assert.Equal(
                ("client", "cart", "shop", "cart~1~shop", "pricing", "bank", "GET", "/prices/7", 503, 12.5, 2, "mesh", true),
                (Text(shown, "side"), Text(shown, "source"), Text(shown, "source_namespace"), Text(shown, "instance"), Text(shown, "destination"), Text(shown, "destination_namespace"), Text(shown, "method"),
                Text(shown, "path"), shown.GetProperty("status").GetInt32(), shown.GetProperty("latency_ms").GetDouble(), shown.GetProperty("attempts").GetInt32(), Text(shown, "tls"), shown.GetProperty("failed").GetBoolean()));
            Assert.Equal(("spiffe://cluster.local/ns/shop/sa/cart", JsonValueKind.Null), (Text(shown, "reporter"), shown.GetProperty("grpc_status").ValueKind));
            Assert.Equal("""{"x-user":"ann","accept":"…"}""", shown.GetProperty("request_headers").GetRawText());

            // What goes on is another kind of event, and no failure yet.
            Assert.True(order.Start.Opens);
            var open = Seen(order.Start.Id);
            (open.Open, open.Stream, open.Status) = (true, 7, 200);
            seen.Stream = 7;
            await cart.SayAsync(new TapReport { Exchanges = { open, seen } });
            shown = await tap.NextAsync("open");
            Assert.Equal(("cart~1~shop/7", true, false, 200), (Text(shown, "stream"), shown.GetProperty("open").GetBoolean(), shown.GetProperty("failed").GetBoolean(), shown.GetProperty("status").GetInt32()));
            shown = await tap.NextAsync("request");
            Assert.Equal(("cart~1~shop/7", false, true), (Text(shown, "stream"), shown.GetProperty("open").GetBoolean(), shown.GetProperty("failed").GetBoolean()));

            await cart.SayAsync(new TapReport { Stats = { new TapStats { Tap = order.Start.Id, Seen = 6, Sent = 3, Dropped = 3 } } });
            JsonElement stats;
            do
            {
                stats = await tap.NextAsync("stats");
            }
            while (stats.GetProperty("dropped").GetInt64() == 0);
            Assert.Equal((1, 3, 3, 0.5), (stats.GetProperty("data_planes").GetInt32(), stats.GetProperty("sent").GetInt64(), stats.GetProperty("dropped").GetInt64(), stats.GetProperty("sampled").GetDouble()));
        }

        Assert.Equal(order.Start.Id, (await cart.NextAsync(TapOrder.OrderOneofCase.Stop)).Stop);
    }

    [Fact]
    public async Task Tap_AsksOnlyWhoCanSeeIt_AndServersOnlyForCallersThatDoNotReportThemselves()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        await using var pricing = await FakeDataPlane.StartAsync(controlPlane, "pricing");
        await using var silent = await FakeDataPlane.StartAsync(controlPlane, "silent", refuses: true);
        await using var bystander = await FakeDataPlane.StartAsync(controlPlane, "bystander");
        await Eventually.Async(() => controlPlane.Services.GetRequiredService<IDataPlanes>().Count == 4, "all attend");

        await using var tap = await SseReader.OpenAsync(controlPlane, "/api/v1/tap?source=cart&destination=pricing");

        Assert.Equal(2, (await tap.NextAsync("stats")).GetProperty("data_planes").GetInt32());
        Assert.Null((await cart.NextAsync()).Start.Server);
        var order = (await pricing.NextAsync()).Start;
        Assert.Equal((null, "cart"), (order.Client, order.Server.Name));
        // Who refuses does not report itself, so servers do.
        Assert.Equal(["shop/bystander", "shop/cart", "shop/pricing"], order.Server.Except);

        await using var both = await SseReader.OpenAsync(controlPlane, "/api/v1/tap?workload=cart&namespace=shop");
        order = (await cart.NextAsync()).Start;
        Assert.Equal(("", "", 0), (order.Client.Name, order.Server.Name, order.Server.Except.Count));
        Assert.Equal(1, (await both.NextAsync("stats")).GetProperty("data_planes").GetInt32());
    }

    [Fact]
    public async Task Tap_Annotated_IsForbidden_FromBothSides()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        await using var vault = await FakeDataPlane.StartAsync(controlPlane, "vault");
        await Eventually.Async(() => controlPlane.Services.GetRequiredService<IDataPlanes>().Count == 2, "both attend");
        controlPlane.Source.Publish(new MeshModel
        {
            Services = System.Collections.Immutable.ImmutableDictionary<ServiceName, Service>.Empty.Add(
                new("shop", "vault"),
                new Service(new("shop", "vault"), [new ServicePort("web", 80, null)], [new ServiceEndpoint("web", "127.0.0.1", 20001, "vault", true, "", true)]) { TapDisabled = true }),
        });

        await using var tap = await SseReader.OpenAsync(controlPlane, "/api/v1/tap");

        Assert.Equal(1, (await tap.NextAsync("stats")).GetProperty("data_planes").GetInt32());
        var id = (await cart.NextAsync()).Start.Id;
        var (secret, other) = (Seen(id), Seen(id));
        (secret.PeerName, secret.PeerNamespace) = ("vault", "shop");
        await cart.SayAsync(new TapReport { Exchanges = { secret, other } });
        Assert.Equal("pricing", Text(await tap.NextAsync("request"), "destination"));
        // Its own word does not help it either.
        await vault.SayAsync(new TapReport { Exchanges = { Seen(id) } });
        await cart.SayAsync(new TapReport { Exchanges = { Seen(id) } });
        Assert.Equal("cart", Text(await tap.NextAsync("request"), "source"));
    }

    [Fact]
    public async Task Tap_HostileDataPlane_ShowsHarmlessTextAndNoMoreThanWasAskedFor()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var evil = await FakeDataPlane.StartAsync(controlPlane, "evil", workload: "\u001b[31mcart");
        await using var tap = await SseReader.OpenAsync(controlPlane, "/api/v1/tap?max_rps=5");
        var id = (await evil.NextAsync()).Start.Id;
        var seen = Seen(id);
        seen.Path = "/\u001b]0;owned\a\r\nevent: fake\u202e" + new string('x', 70_000);
        seen.PeerName = "<img src=x onerror=alert(1)>";
        seen.AtUnixUs = long.MaxValue;
        seen.LatencyUs = long.MinValue;
        seen.Status = -1;
        seen.TraceId = "../../etc";
        await evil.SayAsync(new TapReport { Exchanges = { seen } });

        var shown = await tap.NextAsync("request");

        var path = Text(shown, "path");
        Assert.Equal((257, '…'), (path.Length, path[^1]));
        Assert.DoesNotContain(path, char.IsControl);
        Assert.StartsWith("/\ufffd]0;owned\ufffd\ufffd\ufffdevent: fake\ufffdxxx", path, StringComparison.Ordinal);
        Assert.Equal(("\ufffd[31mcart", "<img src=x onerror=alert(1)>", JsonValueKind.Null, JsonValueKind.Null, 0.0),
            (Text(shown, "source"), Text(shown, "destination"), shown.GetProperty("status").ValueKind, shown.GetProperty("trace_id").ValueKind, shown.GetProperty("latency_ms").GetDouble()));
        Assert.True((TimeProvider.System.GetUtcNow() - shown.GetProperty("at").GetDateTimeOffset()).Duration() < TimeSpan.FromMinutes(1));

        // A flood is dropped, not kept.
        var flood = new TapReport();
        flood.Exchanges.AddRange(Enumerable.Range(0, 200).Select(_ => Seen(id)));
        for (var i = 0; i < 10; i++)
        {
            await evil.SayAsync(flood);
        }

        JsonElement stats;
        do
        {
            stats = await tap.NextAsync("stats");
        }
        while (stats.GetProperty("sent").GetInt64() + stats.GetProperty("dropped").GetInt64() < 2001);
        Assert.InRange(stats.GetProperty("sent").GetInt64(), 1, 400);
    }

    [Theory]
    [InlineData("status=often", "status is 'often'")]
    [InlineData("max_rps=0", "max_rps is '0'")]
    [InlineData("path=prices", "path is 'prices'")]
    [InlineData("pth=/", "'pth' is not asked for")]
    [InlineData("labels=app=(", "labels is 'app=('. Give labels such as app=cart")]
    [InlineData("for_s=1e9", "for_s is '1e9'")]
    [InlineData("source=a%0ab", "source is to be given once")]
    public async Task Tap_BadQuestion_SaysHowToAsk(string query, string detail)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api();

        using var response = await api.GetAsync($"/api/v1/tap?{query}", Token);

        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Contains(detail, (await response.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tap_TooMany_Is429_AndOneThatEndedMakesRoom()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var taps = new List<SseReader>();
        for (var i = 0; i < TapHub.MostTaps; i++)
        {
            taps.Add(await SseReader.OpenAsync(controlPlane, "/api/v1/tap"));
        }

        using var api = controlPlane.Api();
        using (var refused = await api.GetAsync("/api/v1/top", HttpCompletionOption.ResponseHeadersRead, Token))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        }

        await taps[0].DisposeAsync();
        await Eventually.Async(
            async () =>
            {
                using var again = await api.GetAsync("/api/v1/top?for_s=1", HttpCompletionOption.ResponseHeadersRead, Token);
                return again.StatusCode == HttpStatusCode.OK;
            },
            "there is room again");
        foreach (var tap in taps.Skip(1))
        {
            await tap.DisposeAsync();
        }
    }

    [Fact]
    public async Task Top_CountsByPath_AndEndsAfterItsTime()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        await using var top = await SseReader.OpenAsync(controlPlane, "/api/v1/top?source=cart&for_s=2");
        var start = (await cart.NextAsync()).Start;
        var id = start.Id;
        Assert.False(start.Opens);
        var (bad, good, other) = (Seen(id), Seen(id), Seen(id));
        (good.Failed, good.Status, good.LatencyUs) = (false, 200, 2_000);
        other.Path = "/";
        await cart.SayAsync(new TapReport { Exchanges = { bad, good, other }, Stats = { new TapStats { Tap = id, Seen = 3, Sent = 3 } } });

        JsonElement last = default;
        while (await top.NextAsync() is { } next)
        {
            last = next.Name == "top" ? next.Data : last;
        }

        Assert.Equal((3, 1.0), (last.GetProperty("seen").GetInt64(), last.GetProperty("sampled").GetDouble()));
        var first = last.GetProperty("items")[0];
        Assert.Equal(
            ("cart", "pricing", "GET", "/prices/7", 2, 2.0, 12.5, 2.0, 0.5),
            (Text(first, "source"), Text(first, "destination"), Text(first, "method"), Text(first, "path"), first.GetProperty("count").GetInt64(), first.GetProperty("best_ms").GetDouble(),
            first.GetProperty("worst_ms").GetDouble(), first.GetProperty("last_ms").GetDouble(), first.GetProperty("success_rate").GetDouble()));
        Assert.Equal(TapOrder.OrderOneofCase.Stop, (await cart.NextAsync()).OrderCase);
    }

    [Fact]
    public async Task Denials_AreOnePerCallerRuleAndMinute_WithTheLastExample()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await FakeDataPlane.StartAsync(controlPlane, "cart");
        Denial Of(string path, ulong count) => new() { Caller = "spiffe://cluster.local/ns/shop/sa/web", Method = "GET", Path = path, Rule = "", Nearest = "rule shop/admins: caller is web", Count = count };
        await cart.SayAsync(new TapReport { Denials = { Of("/a", 2), Of("/b", 3) } });
        using var api = controlPlane.Api();
        JsonElement items = default;
        await Eventually.Async(
            async () => (items = (await api.GetFromJsonAsync<JsonElement>("/api/v1/denials?window=3600", Token)).GetProperty("items")).GetArrayLength() > 0, "the denials are kept");

        // A minute may have turned between the two.
        Assert.Equal(5, items.EnumerateArray().Sum(i => i.GetProperty("count").GetInt64()));
        var newest = items[0];
        Assert.Equal(("cart", "shop", "/b", "rule shop/admins: caller is web", false), (Text(newest, "workload"), Text(newest, "namespace"), Text(newest, "path"), Text(newest, "nearest"), newest.GetProperty("audit").GetBoolean()));
    }

    private static Exchange Seen(string tap) => new()
    {
        Tap = tap,
        AtUnixUs = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() * 1000,
        PeerName = "pricing",
        PeerNamespace = "bank",
        Endpoint = "127.0.0.1:20017",
        Method = "GET",
        Authority = "pricing",
        Path = "/prices/7",
        Status = 503,
        Failed = true,
        LatencyUs = 12_500,
        Attempts = 2,
        MeshTls = true,
    };

    private static string Text(JsonElement of, string name) => of.GetProperty(name).GetString()!;
}
