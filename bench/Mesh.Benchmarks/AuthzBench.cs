using System.Globalization;
using System.Net;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Traffic;

namespace Mesh.Benchmarks;

/// <summary>What access rules cost the server: the same hop through Mesh without and with 1, 100 and 1,000 of them, in turn; then the decision alone.</summary>
/// <remarks>The rule that allows is the last by name, one in three rules is for the same caller, and a set of rules that deny is asked first.</remarks>
internal static class AuthzBench
{
    public const string Prefix = "authz-";

    private const string Caller = "spiffe://cluster.local/ns/bench/sa/client";

    private static readonly int[] _sizes = [1, 100, 1_000];

    /// <summary>As our control plane writes them: DENY, then ALLOW.</summary>
    public static IReadOnlyList<HttpFilter> Filters(int rules) =>
    [
        new("io.meshlib.deny", new RbacFilter(new RbacRules(RbacAction.Deny, [.. Enumerable.Range(0, rules).Select(i => Rule(i, $"/denied/{i}", i % 3 == 0 ? Caller : Other(i)))]), null)),
        new("io.meshlib.allow", new RbacFilter(new RbacRules(RbacAction.Allow, [.. Enumerable.Range(0, rules - 1).Select(i => Rule(i, $"/items/{i}", i % 3 == 0 ? Caller : Other(i))), Rule(rules - 1, "/", Caller)]), null)),
    ];

    public static async Task<int> RunAsync(HopSettings settings)
    {
        using var scratch = new Scratch();
        var certificates = Certificates.Create(scratch.Path);
        Console.WriteLine($"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Pairs} pairs of {settings.Duration.TotalSeconds} s, {DateTime.UtcNow:yyyy-MM-dd}");
        Console.WriteLine("rules,concurrency,measure,none_median,rules_median,ratio_median,ratio_min,ratio_max");
        foreach (var rules in _sizes)
        {
            await using var openServer = await HopProcess.StartAsync("mesh", scratch.Path);
            await using var judgingServer = await HopProcess.StartAsync(string.Create(CultureInfo.InvariantCulture, $"{Prefix}{rules}"), scratch.Path);
            await using var open = await HopClients.MeshAsync(openServer.Port, certificates);
            await using var judged = await HopClients.MeshAsync(judgingServer.Port, certificates);
            foreach (var concurrency in settings.Concurrency)
            {
                await HopBench.MeasureAsync(open.Client, openServer, concurrency, settings.Duration);
                await HopBench.MeasureAsync(judged.Client, judgingServer, concurrency, settings.Duration);
                var pairs = new List<(HopBench.Measured, HopBench.Measured)>();
                for (var i = 0; i < settings.Pairs; i++)
                {
                    pairs.Add((
                        await HopBench.MeasureAsync(open.Client, openServer, concurrency, settings.Duration),
                        await HopBench.MeasureAsync(judged.Client, judgingServer, concurrency, settings.Duration)));
                }

                var label = string.Create(CultureInfo.InvariantCulture, $"{rules},{concurrency}");
                HopBench.Print(label, "cpu_us_per_request", pairs, m => m.CpuMicroseconds);
                HopBench.Print(label, "server_bytes_per_request", pairs, m => m.ServerBytes);
                HopBench.Print(label, "requests_per_second", pairs, m => m.RequestsPerSecond);
                HopBench.Print(label, "p99_us", pairs, m => m.P99);
            }
        }

        Decisions(settings.Duration);
        return 0;
    }

    private static void Decisions(TimeSpan duration)
    {
        Console.WriteLine("decision,threads,ns_per_call,bytes_per_call");
        var connection = new RbacConnection(new RbacCaller([Caller], [], string.Empty), IPAddress.Loopback, new IPEndPoint(IPAddress.Loopback, 8080));
        foreach (var rules in _sizes)
        {
            var engine = new RbacEngine(Filters(rules).Select(f => (RbacFilter)f.Settings));
            foreach (var threads in (int[])[1, 2])
            {
                LimitsBench.Decision($"allowed by the last of {rules} rules", threads, duration, () => engine.Decide(new RbacRequest(Head.Allowed, connection, VerifiedClaims.None)));
                LimitsBench.Decision($"denied by none of {rules} rules", threads, duration, () => engine.Decide(new RbacRequest(Head.Denied, connection, VerifiedClaims.None)));
            }
        }
    }

    private static RbacPolicy Rule(int index, string path, string caller) => new(
        string.Create(CultureInfo.InvariantCulture, $"bench/server/rule-{index:D5}"),
        [new RbacCondition.AllOf([Method("GET"), new RbacCondition.Path(new StringMatcher(path == "/" ? StringMatchKind.Exact : StringMatchKind.Prefix, path))])],
        [new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Exact, caller))]);

    private static RbacCondition.Header Method(string method) => new(new HeaderMatcher(":method", HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, method)));

    private static string Other(int index) => string.Create(CultureInfo.InvariantCulture, $"spiffe://cluster.local/ns/bench/sa/other-{index}");

    private sealed class Head(string path) : RequestHead
    {
        public static Head Allowed { get; } = new("/");

        public static Head Denied { get; } = new("/nowhere");

        public override string Method => "GET";

        public override string Authority => "bench";

        public override string Path => path;

        public override string Query => string.Empty;

        public override string? Header(string name) => name == ":method" ? Method : name == ":path" ? path : name is ":authority" or "host" ? Authority : null;
    }
}
