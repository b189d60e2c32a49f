using System.Net.Http.Json;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Export;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>A workload with a right certificate reports what it should not: it takes memory up to a bound, and nothing from anybody else.</summary>
public sealed class ReportAttackTests
{
    private static readonly SpiffeId Evil = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/evil");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EverNewRuns_FillWhatIsRememberedOfThem_AndNobodyElseIsCountedTwice()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await Reporting.JoinAsync(controlPlane, "shop", "cart");
        await using var till = await Reporting.JoinAsync(controlPlane, "bank", "till");
        var evil = await Reporting.JoinAsync(controlPlane, "shop", "evil");
        await till.SendAsync("till", 1, Calls("till", "bank", "ledger", 3));

        // As if it had come by the wire, up to just below the bound; the rest does.
        var (intake, taken, store) = (controlPlane.Services.GetRequiredService<MetricsIntake>(), controlPlane.Services.GetRequiredService<TakenReports>(), controlPlane.Services.GetRequiredService<GoldenStore>());
        using var connection = new CancellationTokenSource();
        for (var i = 0; i < TakenReports.MaxRuns + 100; i++)
        {
            var report = Report("shop", "evil");
            report.ResourceMetrics[0].Resource.Attributes.Add(GoldenMetricsTests.Text("service.instance.id", $"evil~{i}"));
            intake.Take(report, Evil, new ReportNote($"{i}", 1, IsLast: false, null, null, connection.Token));
        }

        await Task.WhenAll(Enumerable.Range(0, 100).Select(i => evil.SendAsync($"wire{i}", 1)));
        Assert.Equal(TakenReports.MaxRuns, taken.Runs);

        // Who comes late is remembered all the same: what it sends again is not counted again.
        for (var again = 0; again < 3; again++)
        {
            await cart.SendAsync("cart", 1, Calls("cart", "shop", "pricing", 10));
            await till.SendAsync("till", 1, Calls("till", "bank", "ledger", 3));
            await till.SendAsync("till", 2, Calls("till", "bank", "ledger", 4));
        }

        Assert.Equal(10, await RequestsAsync(controlPlane, "cart", "pricing"));
        Assert.Equal(7, await RequestsAsync(controlPlane, "till", "ledger"));
        Assert.Equal(TakenReports.MaxRuns, taken.Runs);
        using var api = controlPlane.Api();
        Assert.Contains("mesh_controlplane_telemetry_repeated_total 7\n", await api.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), StringComparison.Ordinal);

        // All of its runs end without their last report: so many gaps are not kept, and another namespace's are.
        await till.DisposeAsync();
        await Eventually.Async(() => Gaps().Any(g => g.Who == "till@bank"), "the end of till is seen");
        await connection.CancelAsync();
        await evil.DisposeAsync();
        await Eventually.Async(() => Gaps().Count == GapLog.MaxGaps, "the ends of evil are seen");
        Assert.Contains(Gaps(), g => g.Who == "till@bank");

        IReadOnlyList<MissingTime> Gaps() => store.Gaps.Between(DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue);
    }

    [Fact]
    public async Task NumbersOfOthersRuns_AndNumbersThatAreNone_ChangeNothingForOthers()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        await using var cart = await Reporting.JoinAsync(controlPlane, "shop", "cart");
        await using var evil = await Reporting.JoinAsync(controlPlane, "shop", "evil");
        var taken = controlPlane.Services.GetRequiredService<TakenReports>();

        // The run of another, far ahead of it, and said to be its last, under its name.
        await cart.SendAsync("run-of-cart", 1, Calls("cart", "shop", "pricing", 1));
        foreach (var number in new[] { "2", "9223372036854775807" })
        {
            await evil.SendAsync("cart", new Metadata { { ReportHeaders.Run, "run-of-cart" }, { ReportHeaders.Number, number }, { ReportHeaders.Last, "1" } });
        }

        await cart.SendAsync("run-of-cart", 2, Calls("cart", "shop", "pricing", 2));
        await cart.SendAsync("run-of-cart", 3, Calls("cart", "shop", "pricing", 4));
        Assert.Equal((7, 0L), (await RequestsAsync(controlPlane, "cart", "pricing"), taken.Repeated));

        // What is no number from 1 to 2^63-1 says nothing: such a report is believed each time.
        string[] none = ["0", "-1", "+1", "1.0", " ", "0x10", "many", "9223372036854775808", new('9', 4000), "NaN"];
        foreach (var number in none)
        {
            for (var again = 0; again < 2; again++)
            {
                await evil.SendAsync("evil", new Metadata { { ReportHeaders.Run, "absurd" }, { ReportHeaders.Number, number } }, Calls("evil", "shop", "web", 1));
            }
        }

        Assert.Equal((2 * none.Length, 0L), (await RequestsAsync(controlPlane, "evil", "web"), taken.Repeated));

        // The highest number there is ends its own run, and no other one of its own either.
        await evil.SendAsync("absurd", long.MaxValue, Calls("evil", "shop", "web", 1));
        await evil.SendAsync("absurd", 1, Calls("evil", "shop", "web", 1));
        await evil.SendAsync("next", 1, Calls("evil", "shop", "web", 1));
        Assert.Equal(((2 * none.Length) + 2, 1L), (await RequestsAsync(controlPlane, "evil", "web"), taken.Repeated));

        // A run's name that is too long is none; one that is longer than headers may be is an error of the call.
        var runs = taken.Runs;
        await evil.SendAsync(new string('r', 65), 1);
        Assert.Equal(runs, taken.Runs);
        await Assert.ThrowsAsync<RpcException>(() => evil.SendAsync(new string('r', 200_000), 1));
        await cart.SendAsync("run-of-cart", 4, Calls("cart", "shop", "pricing", 8));
        Assert.Equal(15, await RequestsAsync(controlPlane, "cart", "pricing"));
    }

    [Fact]
    public async Task HostileNames_AreText_AndTooLongOnesAreRefusedAlone_AlsoAfterARestart()
    {
        string[] names = ["<img src=x onerror=alert(1)>", "a\u0000b", "\u001b[2J", "\u202egnp.exe", "'; DROP TABLE series; --", "../../etc/passwd", "{\"a\":1}", "a\r\nb=\"c\"} 1", new('n', 253), "\ud83d\ude00"];
        var folder = Directory.CreateTempSubdirectory("mesh-hostile-").FullName;
        try
        {
            await using (var controlPlane = await TestControlPlane.StartAsync(folder))
            {
                await using var evil = await Reporting.JoinAsync(controlPlane, "shop", "evil");
                Assert.Null((await evil.SendAsync("evil", 1, [.. names.Select(n => Calls("evil", "shop", n, 1))])).PartialSuccess);

                // One point too long among good ones; a tag whose name is all of the message.
                var longName = Calls("evil", "shop", new string('x', 3_000_000), 1);
                var longKey = Calls("evil", "shop", "web", 1);
                GoldenMetricsTests.Tag(longKey, new string('k', 500_000) + "\u001b\n", new string('v', 300));
                var partial = (await evil.SendAsync("evil", 2, longName, Calls("evil", "shop", "web", 5), longKey)).PartialSuccess;
                Assert.Equal(2, partial.RejectedDataPoints);
                Assert.Contains("3000000 characters; at most 253", partial.ErrorMessage, StringComparison.Ordinal);
                partial = (await evil.SendAsync("evil", 3, longKey)).PartialSuccess;
                Assert.InRange(partial.ErrorMessage.Length, 1, 300);
                Assert.DoesNotContain(partial.ErrorMessage, char.IsControl);

                var refused = await Assert.ThrowsAsync<RpcException>(() => evil.SendAsync("evil", 4, Calls("evil", "shop", new string('x', 10_000_000), 1)));
                Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
                Assert.Equal(5, await RequestsAsync(controlPlane, "evil", "web"));
                await AllAreTextAsync(controlPlane);
            }

            await using var next = await TestControlPlane.StartAsync(folder);
            await AllAreTextAsync(next);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        async Task AllAreTextAsync(TestControlPlane controlPlane)
        {
            using var api = controlPlane.Api();
            var golden = await api.GetFromJsonAsync<JsonElement>("/api/v1/golden?by=pair&window=600", Token);
            Assert.Equal([.. names.Append("web").Order(StringComparer.Ordinal)], golden.GetProperty("items").EnumerateArray().Select(i => i.GetProperty("destination").GetString()!).Order(StringComparer.Ordinal));
            foreach (var path in new[] { "overview", "topology", "security", $"services/shop/{Uri.EscapeDataString(names[0])}" })
            {
                using var answer = await api.GetAsync(new Uri($"/api/v1/{path}?window=600", UriKind.Relative), Token);
                Assert.True((int)answer.StatusCode is 200 or 404, $"{path}: {answer.StatusCode}");
                // JSON, and nothing that a browser could take for anything else.
                Assert.EndsWith("json", answer.Content.Headers.ContentType!.MediaType, StringComparison.Ordinal);
                Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
                using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Token));
            }
        }
    }

    [Fact]
    public async Task AHundredThousandSeries_AreCapped_AndNoOtherSeriesIsLost()
    {
        const int Cap = 2_000;
        await using var controlPlane = await TestControlPlane.StartAsync(configure: o => o.TelemetryMaxSeries = Cap);
        await using var till = await Reporting.JoinAsync(controlPlane, "bank", "till");
        await using var cart = await Reporting.JoinAsync(controlPlane, "shop", "cart");
        await using var evil = await Reporting.JoinAsync(controlPlane, "shop", "evil");
        await till.SendAsync("till", 1, [.. Enumerable.Range(0, 50).Select(i => Calls("till", "bank", $"early{i}", 2))]);

        // As much as a message may hold, again and again.
        for (var message = 0; message < 20; message++)
        {
            var many = Calls("evil", "shop", "all", 1);
            var points = many.ExponentialHistogram.DataPoints;
            var one = points[0];
            points.Clear();
            for (var i = 0; i < 5_000; i++)
            {
                var point = one.Clone();
                point.Attributes.Single(a => a.Key == MeshTags.Destination).Value.StringValue = $"d{message}-{i}";
                points.Add(point);
            }

            await evil.SendAsync("evil", message + 1, many);
        }

        // Known ones go on, and new ones of others find a place; not for the one who has most.
        await till.SendAsync("till", 2, [.. Enumerable.Range(0, 50).Select(i => Calls("till", "bank", $"early{i}", 3))]);
        await cart.SendAsync("cart", 1, [.. Enumerable.Range(0, 50).Select(i => Calls("cart", "shop", $"late{i}", 7))]);
        await evil.SendAsync("evil", 21, Calls("evil", "shop", "one-more", 1));
        await cart.SendAsync("cart", 2, [.. Enumerable.Range(0, 50).Select(i => Calls("cart", "shop", $"late{i}", 7))]);

        using var api = controlPlane.Api();
        var pairs = (await api.GetFromJsonAsync<JsonElement>("/api/v1/golden?by=pair&window=600", Token)).GetProperty("items").EnumerateArray()
            .ToLookup(i => i.GetProperty("source").GetString()!, i => i.GetProperty("requests").GetInt32());
        Assert.Equal(Enumerable.Repeat(5, 50), pairs["till"]);
        Assert.Equal(Enumerable.Repeat(14, 50), pairs["cart"]);
        Assert.Equal(Enumerable.Repeat(1, Cap - 100), pairs["evil"]);
        var store = (await api.GetFromJsonAsync<JsonElement>("/api/v1/info", Token)).GetProperty("store");
        Assert.Equal((Cap, Cap), (store.GetProperty("series").GetInt32(), store.GetProperty("max_series").GetInt32()));
        // By hashes, of which a few are alike.
        Assert.InRange(store.GetProperty("overflowed_series").GetInt32(), 97_500, 98_101);
    }

    private static Metric Calls(string source, string ns, string destination, ulong count)
    {
        var metric = GoldenMetricsTests.Calls(count, good: true);
        GoldenMetricsTests.Tag(metric, MeshTags.Source, source);
        GoldenMetricsTests.Tag(metric, MeshTags.SourceNamespace, ns);
        GoldenMetricsTests.Tag(metric, MeshTags.Destination, destination);
        GoldenMetricsTests.Tag(metric, MeshTags.DestinationNamespace, ns);
        return metric;
    }

    private static ExportMetricsServiceRequest Report(string ns, string workload, params Metric[] metrics)
    {
        var report = GoldenMetricsTests.Shop(metrics);
        report.ResourceMetrics[0].Resource.Attributes[0].Value.StringValue = ns;
        report.ResourceMetrics[0].Resource.Attributes[1].Value.StringValue = workload;
        return report;
    }

    private static async Task<int> RequestsAsync(TestControlPlane controlPlane, string source, string destination)
    {
        using var api = controlPlane.Api();
        var golden = await api.GetFromJsonAsync<JsonElement>($"/api/v1/golden?by=pair&window=600&source={source}&destination={destination}", Token);
        return golden.GetProperty("items").EnumerateArray().Sum(i => i.GetProperty("requests").GetInt32());
    }

    /// <summary>A workload that has joined, and reports whatever it is told to.</summary>
    private sealed class Reporting(GrpcChannel channel, IDisposable certificate, string ns, string account) : IAsyncDisposable
    {
        private readonly MetricsService.MetricsServiceClient _client = new(channel);

        public static async Task<Reporting> JoinAsync(TestControlPlane controlPlane, string ns, string account)
        {
            var certificate = await controlPlane.JoinAsync(ns, account);
            return new Reporting(controlPlane.TlsChannel(certificate), certificate, ns, account);
        }

        public Task<ExportMetricsServiceResponse> SendAsync(string run, long number, params Metric[] metrics) =>
            SendAsync(account, new Metadata { { ReportHeaders.Run, run }, { ReportHeaders.Number, $"{number}" } }, metrics);

        /// <param name="name">As it calls itself.</param>
        public async Task<ExportMetricsServiceResponse> SendAsync(string name, Metadata headers, params Metric[] metrics) =>
            await _client.ExportAsync(Report(ns, name, metrics), headers, cancellationToken: Token);

        public ValueTask DisposeAsync()
        {
            channel.Dispose();
            certificate.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
