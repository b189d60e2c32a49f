using System.Net;
using System.Text.Json;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Protos.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;
using Caller = Mesh.ControlPlane.Telemetry.Caller;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>Each replica keeps what its own streams send; whichever is asked answers for all.</summary>
public sealed class GoldenReplicasTests
{
    private const string Torn = "0af7651916cd43dd8448eb211c80319c";
    private const string Elsewhere = "1af7651916cd43dd8448eb211c80319c";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AnyReplica_AddsWhatAllWereTold_AndNamesOneThatIsGone()
    {
        await using var mesh = await ClusterMesh.StartAsync();
        var replicas = await mesh.ReplicasAsync("cp-a", "cp-b");
        await Eventually.Async(
            () => replicas.All(r => r.Services.GetRequiredService<IReplicaPeers>().Others is [{ Calls: not null }]), "each knows where the other is", TimeSpan.FromSeconds(40));

        // Both halves of one pair, a caller that only one hears, and what the called side says of it to the other.
        Count(replicas[0], "cart", SeriesKind.Call, 10, -100);
        Count(replicas[1], "cart", SeriesKind.Call, 90, -20);
        Count(replicas[0], "till", SeriesKind.Call, 5, -64);
        Store(replicas[0]).AddReporter(new Caller("till", "shop"));
        Count(replicas[1], "till", SeriesKind.Served, 5, -64);
        Store(replicas[1]).Add(new SeriesKey(SeriesKind.ClientDecision, "cart", "shop", "pricing", "shop") { Route = "retry", Backend = "503" }, new Measure(CallOutcome.Good, Tls: false, 3));

        foreach (var replica in replicas)
        {
            // The first call has a handshake before it, and 2 s for both.
            var golden = await GetAsync(replica, "golden?window=600");
            await Eventually.Async(async () => (golden = await GetAsync(replica, "golden?window=600")).GetProperty("partial").GetArrayLength() == 0, $"both to answer, but {golden.GetProperty("partial")}", TimeSpan.FromSeconds(30));
            var items = golden.GetProperty("items").EnumerateArray().ToDictionary(i => i.GetProperty("source").GetString()!);
            Assert.Equal(["cart", "till"], items.Keys.Order());
            Assert.Equal((100L, 5L), (items["cart"].GetProperty("requests").GetInt64(), items["till"].GetProperty("requests").GetInt64()));

            // Of buckets that were added, not of two percentiles.
            Assert.Equal(1000 * Math.Pow(2, (-20 + (40.0 / 90)) / 16), items["cart"].GetProperty("p50_ms").GetDouble(), 0.001);
            Assert.Equal(100, Assert.Single((await GetAsync(replica, "pairs")).EnumerateArray(), p => p.GetProperty("source").GetString() == "cart").GetProperty("requests").GetInt64());
            Assert.Equal(3, Assert.Single((await GetAsync(replica, "decisions?window=600")).GetProperty("items").EnumerateArray()).GetProperty("count").GetInt64());
        }

        await PutTracesTogetherAsync(replicas);
        await mesh.KillAsync(replicas[1]);
        var alone = await GetAsync(replicas[0], "golden?window=600");
        Assert.Equal("cp-b", Assert.Single(alone.GetProperty("partial").EnumerateArray()).GetProperty("replica").GetString());
        var past = await GetAsync(replicas[0], "overview?from=-600&to=-60");
        Assert.Equal((true, "cp-b"), (past.GetProperty("past").GetBoolean(), Assert.Single(past.GetProperty("partial").EnumerateArray()).GetProperty("replica").GetString()));
        Assert.Equal(10, alone.GetProperty("items").EnumerateArray().Single(i => i.GetProperty("source").GetString() == "cart").GetProperty("requests").GetInt64());

        // What is left of a trace is shown, and that something is missing; of one that is not there, that it may be elsewhere.
        var rest = await GetAsync(replicas[0], $"traces/{Torn}");
        Assert.Equal(("cp-b", 1), (Assert.Single(rest.GetProperty("partial").EnumerateArray()).GetProperty("replica").GetString(), rest.GetProperty("spans").GetArrayLength()));
        Assert.Equal("cp-b", Assert.Single((await GetAsync(replicas[0], "traces")).GetProperty("partial").EnumerateArray()).GetProperty("replica").GetString());
        using var api = replicas[0].Api();
        using var unknown = await api.GetAsync($"/api/v1/traces/{Elsewhere}", Token);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("replica cp-b", await unknown.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    /// <summary>A trace whose caller reports to one replica and whose called side to the other is one, and is judged as one.</summary>
    private static async Task PutTracesTogetherAsync(IReadOnlyList<ClusterMesh.Replica> replicas)
    {
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var retry = new StoredEvent(at.AddTicks(10_001), "retry", new Dictionary<string, object> { ["mesh.reason"] = "503" });
        Traces(replicas[0]).Add([
            new StoredSpan(Torn, "00000000000000a1", null, "GET /cart", "client", "till", "shop", at, TimeSpan.FromMilliseconds(40), false,
                new Dictionary<string, object> { ["server.address"] = "cart", ["mesh.attempts"] = 2L, ["ratio"] = 0.5, ["late"] = true }, [retry])]);
        Traces(replicas[1]).Add([
            new StoredSpan(Torn, "00000000000000a2", "00000000000000a1", "GET /", "server", "cart", "fruit", at.AddMilliseconds(1), TimeSpan.FromMilliseconds(5), true, new Dictionary<string, object>(), [])]);
        Traces(replicas[1]).Add([
            new StoredSpan(Elsewhere, "00000000000000b1", null, "GET /b", "server", "basket", "fruit", at.AddSeconds(1), TimeSpan.FromMilliseconds(3), false, new Dictionary<string, object>(), [])]);

        // More than one question for spans may hold.
        Traces(replicas[1]).Add(Enumerable.Range(1, 70).Select(i => new StoredSpan(
            $"{i:x32}", "00000000000000c1", null, "GET /many", "server", "many", "shop", at.AddSeconds(10 + i), TimeSpan.FromMilliseconds(1), false, new Dictionary<string, object>(), [])));

        foreach (var replica in replicas)
        {
            var list = await GetAsync(replica, "traces?limit=1000");
            Assert.Equal((72, 0), (list.GetProperty("items").GetArrayLength(), list.GetProperty("partial").GetArrayLength()));
            Assert.Equal(at, list.GetProperty("reaches_back_to").GetDateTimeOffset());
            Assert.Equal($"{70:x32}", list.GetProperty("items")[0].GetProperty("trace_id").GetString());

            // Failed there, slow and of this caller here, and in that namespace there: no replica alone would know.
            var item = Assert.Single((await GetAsync(replica, "traces?failed=true&min_ms=30&service=till&namespace=fruit")).GetProperty("items").EnumerateArray());
            Assert.Equal(
                (Torn, "GET /cart", "till", 40.0, 2, true),
                (item.GetProperty("trace_id").GetString(), item.GetProperty("root").GetString(), item.GetProperty("workload").GetString(), item.GetProperty("duration_ms").GetDouble(),
                    item.GetProperty("spans").GetInt32(), item.GetProperty("failed").GetBoolean()));
            Assert.Equal(["till", "cart"], item.GetProperty("services").EnumerateArray().Select(s => s.GetString()));
            Assert.Empty((await GetAsync(replica, "traces?min_ms=50")).GetProperty("items").EnumerateArray());

            var shown = await GetAsync(replica, $"traces/{Torn}");
            Assert.Equal(0, shown.GetProperty("partial").GetArrayLength());
            var spans = shown.GetProperty("spans");
            Assert.Equal(["00000000000000a1", "00000000000000a2"], spans.EnumerateArray().Select(s => s.GetProperty("span_id").GetString()));
            var attributes = spans[0].GetProperty("attributes");
            Assert.Equal(
                ("cart", 2L, 0.5, true),
                (attributes.GetProperty("server.address").GetString(), attributes.GetProperty("mesh.attempts").GetInt64(), attributes.GetProperty("ratio").GetDouble(), attributes.GetProperty("late").GetBoolean()));
            Assert.Equal((retry.At, "retry"), (spans[0].GetProperty("events")[0].GetProperty("at").GetDateTimeOffset(), spans[0].GetProperty("events")[0].GetProperty("name").GetString()));
            Assert.Equal("503", spans[0].GetProperty("events")[0].GetProperty("attributes").GetProperty("mesh.reason").GetString());
            Assert.Equal(("fruit", "error"), (spans[1].GetProperty("namespace").GetString(), spans[1].GetProperty("status").GetString()));
        }
    }

    [Fact]
    public async Task WhoeverIsNoReplica_IsNotAnswered()
    {
        await using var controlPlane = await Hosting.TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var refused = await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => new Parts.PartsClient(channel)
            .ReadAsync(new PartsQuery(), new Grpc.Core.Metadata { { "authorization", $"Bearer {controlPlane.Addresses.Token}" } }, cancellationToken: Token).ResponseAsync);
        Assert.Equal(Grpc.Core.StatusCode.PermissionDenied, refused.StatusCode);
    }

    [Fact]
    public void Parts_OnTheWire_AreTheSame()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        using var bench = new Telemetry.GoldenBench(time);
        var durations = new BucketCounts();
        durations.Add(-64, 3);
        durations.Add(-10, 4);
        foreach (var kind in new[] { SeriesKind.Call, SeriesKind.Attempt, SeriesKind.LostAttempt, SeriesKind.Served })
        {
            bench.Store.Add(new SeriesKey(kind, "cart", "shop", "pricing", "shop") { Route = "r", Backend = "b", BackendNamespace = "shop", Endpoint = "10.0.0.1:80" }, Measure.Of(durations, CallOutcome.Bad, tls: true), TimeSpan.FromSeconds(30));
        }

        bench.Store.Gaps.Add(new MissingTime(time.GetUtcNow(), time.GetUtcNow(), "cart@shop", "why"));
        bench.Store.AddReporter(new Caller("cart", "shop"));
        var query = new GoldenQuery(GoldenBy.Endpoint, time.GetUtcNow() - TimeSpan.FromMinutes(1), time.GetUtcNow()) { Source = "cart", Route = "r" };
        var part = bench.Store.Read(query, Slots.Fine, out var plan);

        var message = PartMessages.Of(query, plan);
        Assert.Equal(query with { From = GoldenQuery.Start, To = DateTimeOffset.MaxValue }, PartMessages.QueryOf(PartsQuery.Parser.ParseFrom(Google.Protobuf.MessageExtensions.ToByteArray(message))));
        Assert.Equal((plan!.FromSlot, plan.ToSlot, plan.StepSlots), (PartMessages.PlanOf(message)!.FromSlot, PartMessages.PlanOf(message)!.ToSlot, PartMessages.PlanOf(message)!.StepSlots));
        var read = PartMessages.Read(PartMessages.Of(part), plan.Steps);
        Assert.Equal(JsonSerializer.Serialize(part.Gaps), JsonSerializer.Serialize(read.Gaps));
        Assert.Equal(part.Reporters, read.Reporters);
        Assert.Equal(
            JsonSerializer.Serialize(GoldenMerge.Items(query, plan, [part])), JsonSerializer.Serialize(GoldenMerge.Items(query, plan, [read])));
        Assert.Equal(
            JsonSerializer.Serialize(GoldenMerge.Series(query, plan, [part])), JsonSerializer.Serialize(GoldenMerge.Series(query, plan, [read])));
    }

    private static GoldenStore Store(ClusterMesh.Replica replica) => replica.Services.GetRequiredService<GoldenStore>();

    private static TraceStore Traces(ClusterMesh.Replica replica) => replica.Services.GetRequiredService<TraceStore>();

    private static void Count(ClusterMesh.Replica replica, string source, SeriesKind kind, int count, int bucket)
    {
        var durations = new BucketCounts();
        durations.Add(bucket, count);
        Store(replica).Add(new SeriesKey(kind, source, "shop", "pricing", "shop"), Measure.Of(durations));
    }

    private static async Task<JsonElement> GetAsync(ClusterMesh.Replica replica, string path)
    {
        using var api = replica.Api();
        using var response = await api.GetAsync($"/api/v1/{path}", Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync(Token)).RootElement;
    }
}
