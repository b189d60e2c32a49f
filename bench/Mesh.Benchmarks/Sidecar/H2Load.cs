using System.Globalization;
using System.Text.RegularExpressions;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>One closed-loop run of h2load (nghttp2) in the caller's namespace, and what the processes spent on it.</summary>
internal sealed partial record LoadResult(double PerSecond, double P50, double P99, double OutboundCpu, double InboundCpu, double AppCpu, long Failed)
{
    /// <summary>Of both proxies, in µs per request.</summary>
    public double PairCpu => OutboundCpu + InboundCpu;

    /// <summary>Connections for so many requests in flight: one each with HTTP/1; with gRPC 16 calls share one, as those of a channel do.</summary>
    private static (int Connections, int Streams) Shape(bool grpc, int inFlight) => grpc ? (Math.Max(1, inFlight / 16), Math.Min(inFlight, 16)) : (inFlight, 1);

    /// <summary>A machine that does much else may let nothing through for a while: a run without any answer is made again, twice.</summary>
    public static async Task<LoadResult> RunAsync(SidecarPair pair, SidecarFiles files, bool grpc, int bytes, int inFlight, TimeSpan duration)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await RunOnceAsync(pair, files, grpc, bytes, inFlight, duration);
            }
            catch (InvalidOperationException e) when (attempt < 3)
            {
                await Console.Error.WriteLineAsync($"again: {e.Message[..Math.Min(100, e.Message.Length)]}");
            }
        }
    }

    private static async Task<LoadResult> RunOnceAsync(SidecarPair pair, SidecarFiles files, bool grpc, int bytes, int inFlight, TimeSpan duration)
    {
        var log = Path.Combine(files.Folder("logs"), "h2load");
        File.Delete(log);
        var (connections, streams) = Shape(grpc, inFlight);
        string[] protocol = grpc ? ["-d", files.GrpcRequest, "-H", "content-type: application/grpc", "-H", "te: trailers"] : ["--h1"];
        var before = Cpu(pair);
        var output = await pair.Caller.RunAsync(
            duration + TimeSpan.FromSeconds(20),
            [
                "h2load", "-t", "1", "-c", Text(connections), "-m", Text(streams), "-D", Text((int)Math.Ceiling(duration.TotalSeconds)), "--log-file", log, .. protocol,
                $"http://{pair.Target}:{(grpc ? BenchApp.GrpcPort : BenchApp.HttpPort)}/{bytes}",
            ]);
        var after = Cpu(pair);
        var totals = Totals().Match(output);
        // Not its "succeeded": h2load takes an HTTP/1 answer without a reason phrase (one that crossed HTTP/2) for one without a status.
        var failed = Number(totals, "errored") + Number(totals, "late") + ((string[])["redirects", "refusals", "errors"]).Sum(s => Number(totals, s));
        var done = Number(totals, "done") - failed;
        var rate = double.Parse(Rate().Match(output).Groups["rate"].Value, CultureInfo.InvariantCulture);
        if (done <= 0 || Number(totals, "data") / bytes < done)
        {
            throw new InvalidOperationException($"{pair.Name} did not answer {done} times {bytes} bytes: {output} {pair.Outbound?.Output} {pair.Inbound?.Output}");
        }

        // Start in µs, status, time in µs.
        double[] times = [.. File.ReadLines(log).Select(l => double.Parse(l.AsSpan(l.LastIndexOf('\t') + 1), CultureInfo.InvariantCulture)).Order()];
        double PerRequest(int i) => (after[i] - before[i]).TotalMicroseconds / done;
        return new LoadResult(rate, times[times.Length / 2], times[(int)(times.Length * 0.99)], PerRequest(0), PerRequest(1), PerRequest(2), failed);
    }

    private static TimeSpan[] Cpu(SidecarPair pair) => [pair.Outbound?.Cpu() ?? TimeSpan.Zero, pair.Inbound?.Cpu() ?? TimeSpan.Zero, pair.App!.Cpu()];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static long Number(Match match, string group) =>
        match.Success ? long.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture) : throw new InvalidOperationException("h2load printed no totals.");

    [GeneratedRegex(@"(?<done>\d+) done, .*, (?<errored>\d+) errored, (?<late>\d+) timeout\s+status codes: \d+ 2xx, (?<redirects>\d+) 3xx, (?<refusals>\d+) 4xx, (?<errors>\d+) 5xx\s.*\((?<data>\d+)\) data")]
    private static partial Regex Totals();

    [GeneratedRegex(@"finished in [^,]+, (?<rate>[\d.]+) req/s")]
    private static partial Regex Rate();
}
