using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;

namespace Mesh.ControlPlane.Cluster;

/// <summary>What was asked of the API server, and how long it took. Thread-safe.</summary>
internal sealed class ApiCounts
{
    private static readonly string[] Verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    private readonly ConcurrentDictionary<(string Verb, string Result), Count> _counts = new();

    public void Add(HttpMethod method, HttpStatusCode status, TimeSpan took)
    {
        var verb = Verbs.Contains(method.Method) ? method.Method : "other";
        var result = status switch
        {
            0 => "unreachable",
            HttpStatusCode.Conflict => "conflict",
            HttpStatusCode.TooManyRequests => "throttled",
            >= HttpStatusCode.InternalServerError => "server_error",
            >= HttpStatusCode.BadRequest => "refused",
            _ => "ok",
        };
        var count = _counts.GetOrAdd((verb, result), static _ => new Count());
        Interlocked.Increment(ref count.Requests);
        Interlocked.Add(ref count.Ticks, took.Ticks);
    }

    public long Total(string verb, string result) => _counts.TryGetValue((verb, result), out var count) ? Interlocked.Read(ref count.Requests) : 0;

    public void Write(StringBuilder text)
    {
        const string Requests = "mesh_controlplane_kubernetes_requests_total";
        const string Seconds = "mesh_controlplane_kubernetes_request_seconds_total";
        var counts = _counts.OrderBy(c => c.Key).ToList();
        text.Append(CultureInfo.InvariantCulture, $"# HELP {Requests} Requests to the Kubernetes API server, by verb and result.\n# TYPE {Requests} counter\n");
        foreach (var ((verb, result), count) in counts)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Requests}{{verb=\"{verb}\",result=\"{result}\"}} {Interlocked.Read(ref count.Requests)}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"# HELP {Seconds} Time until their answers began.\n# TYPE {Seconds} counter\n");
        foreach (var ((verb, result), count) in counts)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Seconds}{{verb=\"{verb}\",result=\"{result}\"}} {TimeSpan.FromTicks(Interlocked.Read(ref count.Ticks)).TotalSeconds:0.######}\n");
        }
    }

    private sealed class Count
    {
        public long Requests;
        public long Ticks;
    }
}
