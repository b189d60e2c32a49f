using System.Text;
using Google.Protobuf;
using Mesh.Config;
using Mesh.Export;
using Mesh.Protos.Otlp;
using Mesh.Tap;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Benchmarks;

/// <summary>A caller and a server in this process, mutual TLS between them, with one mode of telemetry. What a workload writes out once a second is written out within its own slices, and nothing of it between.</summary>
internal sealed class TelemetryPair : IAsyncDisposable
{
    private static readonly byte[] Answer = new byte[256];
    private readonly WebApplication _server;
    private readonly HopClients _client;
    private readonly TelemetryMode _mode;
    private TimeSpan _untilWritten = TimeSpan.FromSeconds(1);

    private TelemetryPair(TelemetryMode mode, WebApplication server, HopClients client)
    {
        (_mode, _server, _client) = (mode, server, client);
        if (mode.Tap is { } tap)
        {
            Array.ForEach([.. Sides], s => s.GetRequiredService<TapPoint>().Start(tap));
        }

        if (mode.Metrics)
        {
            // Counters count from the first time that somebody asks for them.
            WriteOut();
        }
    }

    public TelemetryMode Mode => _mode;

    private IEnumerable<IServiceProvider> Sides => [_server.Services, _client.Services!];

    public static async Task<TelemetryPair> StartAsync(TelemetryMode mode, Certificates certificates)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        AddRecorder(builder.Services, mode);
        builder.Services.AddBenchMesh(new InMemoryConfigSource(), certificates.Server, "server", mode.Metrics);
        builder.WebHost.UseMesh();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.Run(context =>
        {
            context.Response.ContentLength = Answer.Length;
            return context.Response.Body.WriteAsync(Answer).AsTask();
        });
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new TelemetryPair(mode, app, await HopClients.MeshAsync(new Uri(address).Port, certificates, mode.Metrics, services => AddRecorder(services, mode)));
    }

    /// <summary>So many calls, and what is to be written out after them.</summary>
    /// <returns>False: something was written out, which not every slice has to.</returns>
    public async Task<bool> CallAsync(int calls, int concurrency)
    {
        var began = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(i => Task.Run(() => LoopAsync((calls / concurrency) + (i < calls % concurrency ? 1 : 0)))));
        if (_mode.Tap is not null)
        {
            Carry();
        }

        _untilWritten -= TimeProvider.System.GetElapsedTime(began);
        if (_untilWritten > TimeSpan.Zero || !_mode.Metrics)
        {
            return true;
        }

        _untilWritten += TimeSpan.FromSeconds(1);
        WriteOut();
        return false;
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _server.StopAsync();
        await _server.DisposeAsync();
    }

    private static void AddRecorder(IServiceCollection services, TelemetryMode mode)
    {
        if (mode.Traces is { } traces)
        {
#pragma warning disable RS0030 // thread-safe, and of no consequence here
            services.AddSingleton(new SpanRecorder(traces, TimeProvider.System, Random.Shared));
#pragma warning restore RS0030
        }
    }

    private async Task LoopAsync(int calls)
    {
        for (var i = 0; i < calls; i++)
        {
            using var response = await _client.Client.GetAsync(new Uri("/", UriKind.Relative));
            await response.Content.CopyToAsync(Stream.Null);
            response.EnsureSuccessStatusCode();
        }
    }

    /// <summary>As the export to a control plane at which somebody looks.</summary>
    private void WriteOut()
    {
        foreach (var side in Sides)
        {
            Stream.Null.Write(Encoding.UTF8.GetBytes(string.Concat(side.GetRequiredService<MetricsText>().Parts(TextFormat.Prometheus))));
            if (_mode.Traces is null)
            {
                continue;
            }

            var waiting = side.GetRequiredService<SpanRecorder>().Waiting;
            var batch = new List<FinishedSpan>(OtlpSpanExporter.MaxBatch);
            while (waiting.TryPeek(out _))
            {
                batch.Clear();
                while (batch.Count < OtlpSpanExporter.MaxBatch && waiting.TryRead(out var span))
                {
                    batch.Add(span);
                }

                Stream.Null.Write(SpanMessages.Request(new Resource(), batch).ToByteArray());
            }
        }
    }

    /// <summary>As the stream to the control plane does, ten times a second.</summary>
    private void Carry()
    {
        foreach (var point in Sides.Select(s => s.GetRequiredService<TapPoint>()))
        {
            point.ShowOpen();
            while (point.TryTake(out var tap, out var exchange))
            {
                Stream.Null.Write(TapMessages.Write(tap.Settings.Id, exchange).ToByteArray());
            }
        }
    }
}
