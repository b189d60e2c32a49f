using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Outlier detection from calls over real connections: who sits out, and where that is seen.</summary>
[Trait("gRFC", "A50")]
public sealed class OutlierTests : IAsyncLifetime
{
    private const int Sick = 1;
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;
    private MetricCollector<long> _decisions = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca, services => services.AddMetrics());
        _decisions = new MetricCollector<long>(_program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions);
        for (var i = 0; i < 3; i++)
        {
            var (own, calls) = (i, 0);
            _backends.Add(await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), context =>
            {
                // Every second call: never many failures in a row.
                context.Response.StatusCode = own == Sick && (Interlocked.Increment(ref calls) % 2 == 0 || context.Request.Path == "/bad") ? 500 : 200;
                return context.Response.WriteAsync($"{own}", Cancel);
            }));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _decisions.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sweep_EndpointFailsHalfItsCalls_SitsOut(bool bySuccessRate)
    {
        Serve(new OutlierDetection(5, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5), 50)
        {
            Interval = TimeSpan.FromMilliseconds(300),
            SuccessRate = bySuccessRate ? new(1000, 100, 3, 5) : null,
            FailurePercentage = bySuccessRate ? null : new(30, 100, 3, 5),
        });
        var reason = bySuccessRate ? "success_rate" : "failure_percentage";
        await Eventually.Async(
            async () =>
            {
                await AskAsync(30);
                return Ejected(reason) == 1;
            },
            "it is taken out");
        Assert.DoesNotContain($"{Sick}", await AskAsync(30));
        var warning = _program.Logs.GetSnapshot().Single(r => r.Level == LogLevel.Warning).Message;
        Assert.Contains($"127.0.0.1:{_backends[Sick].Port}", warning);
        Assert.Contains($"sits out for 300 s by {reason}: ", warning);
    }

    [Fact]
    public async Task FailuresInARow_EjectAndAreAnEventOfTheCallThatDid()
    {
        var spans = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "System.Net.Http",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                lock (spans)
                {
                    spans.Add(span);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        Serve(new OutlierDetection(3, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5), 50));
        await Eventually.Async(
            async () =>
            {
                await AskAsync(3, "/bad");
                return Ejected("consecutive_failures") == 1;
            },
            "it is taken out");
        Activity[] all;
        lock (spans)
        {
            all = [.. spans];
        }

        var eject = Assert.Single(all.SelectMany(s => s.Events), e => e.Name == Decisions.Eject);
        Assert.Contains(new(MeshTags.Reason, "consecutive_failures"), eject.Tags);
    }

    private long Ejected(string reason) => _decisions.GetMeasurementSnapshot()
        .Where(m => (string?)m.Tags[MeshTags.Decision] == Decisions.Eject && (string?)m.Tags[MeshTags.Reason] == reason && (string?)m.Tags[MeshTags.Destination] == "catalog").Sum(m => m.Value);

    private void Serve(OutlierDetection outliers) => _program.Serve("catalog", [.. _backends.Select(b => b.Endpoint)], change: c => c with
    {
        LoadBalancing = LoadBalancing.RoundRobin,
        OutlierDetection = outliers,
    });

    private async Task<HashSet<string>> AskAsync(int times, string path = "/")
    {
        var seen = new HashSet<string>();
        using var client = _program.Client();
        for (var i = 0; i < times; i++)
        {
            using var response = await client.GetAsync(new Uri($"http://catalog{path}"), Cancel);
            seen.Add(await response.Content.ReadAsStringAsync(Cancel));
        }

        return seen;
    }
}
