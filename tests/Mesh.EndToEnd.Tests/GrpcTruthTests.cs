using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Grpc.Net.Client;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>What the control plane says of gRPC calls of every kind is what callers and called side counted: by the library and by sidecars, on either end.</summary>
public sealed class GrpcTruthTests
{
    private const int Rounds = 5;

    /// <summary>What the app behind its sidecar dials: the Service's own address.</summary>
    private static readonly IPEndPoint _echo = new(IPAddress.Parse("10.96.0.20"), 80);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CallsOfEveryKind_ByLibraryAndSidecar_AreCountedExactly()
    {
        var counts = new TruthCounts();
        var (echoPort, inbound) = (RunningMesh.FreePort(), RunningMesh.FreePort());
        await using var mesh = await RunningMesh.StartAsync(
            ("echo.yaml", RunningMesh.ServiceYaml("echo", 80, echoPort).Replace("spec:\n", $"spec:\n  clusterIPs: [{_echo.Address}]\n", StringComparison.Ordinal) + Retries("echo")),
            ("till.yaml", RunningMesh.ServiceYaml("till", 80, inbound) + Retries("till")));
        var echo = await mesh.StartServiceAsync("echo", echoPort, app => app.MapGrpcService<TruthService>(), Serve);
        using var served = new MetricCollector<double>(echo.Services.GetRequiredService<IMeterFactory>(), CounterTotals.MeterName, GrpcTags.ServerCallDuration);
        var library = await mesh.StartServiceAsync("lib", RunningMesh.FreePort(), _ => { });
        await using var plain = await PlainAsync(Serve);
        await using var till = await RunningSidecar.StartAsync(mesh, "till", new IPEndPoint(IPAddress.Loopback, new Uri(plain.Urls.Single()).Port), inbound, IPAddress.Loopback);
        await using var side = await RunningSidecar.StartAsync(mesh, "side", _echo, RunningMesh.FreePort(), IPAddress.Parse("127.0.0.9"));
        await mesh.WaitUntilMeshedAsync("echo", "till");
        var from = TimeProvider.System.GetUtcNow() - TimeSpan.FromMinutes(10);

        using var toEcho = MeshChannel.ForAddress("xds:///echo", library.Services);
        using var toTill = MeshChannel.ForAddress("xds:///till", library.Services);
        using var redirected = Redirected(side.Outbound);
        var callers = new[]
        {
            (Source: "lib", Destination: "echo", Caller: new TruthCaller(toEcho.CreateCallInvoker(), "lib-echo", counts)),
            (Source: "lib", Destination: "till", Caller: new TruthCaller(toTill.CreateCallInvoker(), "lib-till", counts)),
            (Source: "side", Destination: "echo", Caller: new TruthCaller(redirected.CreateCallInvoker(), "side-echo", counts)),
        };
        await Task.WhenAll(callers.Select(c => c.Caller.RunAsync(Rounds)));

        foreach (var (source, destination, caller) in callers)
        {
            var attempts = counts.AttemptsOf($"{source}-{destination}");
            JsonElement pair = default;
            await TellsAsync(
                async () =>
                {
                    pair = await PairAsync(mesh, from, source, destination, "client");
                    return pair.ValueKind != JsonValueKind.Undefined && Of(pair, "requests") >= caller.Calls && Of(pair, "attempts") >= attempts;
                },
                () => $"calls of {source} to {destination}: {caller.Calls} and {attempts} attempts, told {pair}");
            Assert.Equal(
                (caller.Calls, caller.Failed, caller.Cancelled, attempts, attempts - caller.Calls),
                (Of(pair, "requests"), Of(pair, "failures"), Of(pair, "cancelled"), Of(pair, "attempts"), Of(pair, "retries")));
            // Two of each round fail at first and are tried again, as far as the retry budget goes; the others of them failed beside the four that do in any case.
            Assert.InRange(attempts - caller.Calls, 1, 2 * Rounds);
            Assert.Equal((4 * Rounds) + (2 * Rounds) - (attempts - caller.Calls), caller.Failed);
            Assert.Equal(1, pair.GetProperty("mtls_share").GetDouble());

            // The called side saw each attempt; in the series each call is once.
            await TellsAsync(
                async () => await PairAsync(mesh, from, source, destination, "server") is { ValueKind: not JsonValueKind.Undefined } seen && Of(seen, "requests") == attempts,
                () => $"{destination} to tell of {attempts} attempts of {source}");
            var series = await mesh.Api.GetFromJsonAsync<JsonElement>($"/api/v1/golden/series?by=pair&source={source}&destination={destination}&view=client&step_s=10&{Window(from)}", Token);
            Assert.Equal(caller.Calls, Assert.Single(series.GetProperty("items").EnumerateArray()).GetProperty("requests").EnumerateArray().Sum(n => n.ValueKind == JsonValueKind.Null ? 0 : n.GetInt64()));
            Assert.Empty(series.GetProperty("gaps").EnumerateArray());
        }

        // gRPC's own counter: begun attempts, by method.
        var begun = library.Services.GetRequiredService<CounterTotals>().All.Where(c => c.Name == GrpcTags.ClientAttemptStarted).ToList();
        Assert.Equal(counts.AttemptsOf("lib-echo") + counts.AttemptsOf("lib-till"), begun.Sum(c => c.Total));
        Assert.Equal(["truth.v1.Truth/Bidi", "truth.v1.Truth/Client", "truth.v1.Truth/Server", "truth.v1.Truth/Unary"], begun.Select(c => c.Tags.Single(t => t.Key == GrpcTags.Method).Value).Distinct().Order());

        // And what its server says: two callers, each failing as often as it wanted to.
        var statuses = served.GetMeasurementSnapshot().CountBy(m => (string)m.Tags[GrpcTags.Status]!).ToDictionary();
        Assert.Equal(counts.AttemptsOf("lib-echo") + counts.AttemptsOf("side-echo"), statuses.Values.Sum());
        Assert.Equal((2 * 4 * Rounds, 2 * 2 * Rounds), (statuses["INTERNAL"], statuses["UNAVAILABLE"]));

        // Routes of the called side are methods, and add up to the same.
        var routes = await mesh.Api.GetFromJsonAsync<JsonElement>($"/api/v1/golden?by=route&source=lib&destination=echo&view=server&{Window(from)}", Token);
        Assert.Equal(counts.AttemptsOf("lib-echo"), routes.GetProperty("items").EnumerateArray().Sum(r => Of(r, "requests")));
        Assert.Equal(4, routes.GetProperty("items").GetArrayLength());

        void Serve(WebApplicationBuilder builder)
        {
            builder.Services.AddSingleton(counts);
            builder.Services.AddGrpc();
        }
    }

    private static Task TellsAsync(Func<Task<bool>> condition, Func<string> what) => Eventually.Async(condition, what(), TimeSpan.FromSeconds(60));

    private static int Of(JsonElement item, string name) => item.GetProperty(name).GetInt32();

    private static async Task<JsonElement> PairAsync(RunningMesh mesh, DateTimeOffset from, string source, string destination, string view)
    {
        var answer = await mesh.Api.GetFromJsonAsync<JsonElement>($"/api/v1/golden?by=pair&source={source}&destination={destination}&view={view}&{Window(from)}", Token);
        return answer.GetProperty("items").EnumerateArray().SingleOrDefault();
    }

    private static string Window(DateTimeOffset from) =>
        $"from={Uri.EscapeDataString(from.ToString("O", CultureInfo.InvariantCulture))}&to={Uri.EscapeDataString((TimeProvider.System.GetUtcNow() + TimeSpan.FromSeconds(10)).ToString("O", CultureInfo.InvariantCulture))}";

    private static string Retries(string service) => $$"""

        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RetryPolicy
        metadata: { name: {{service}}, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: {{service}} }]
          attempts: 3
          retryOn: [unavailable]

        """;

    /// <summary>A gRPC server that knows nothing of the mesh.</summary>
    private static async Task<WebApplication> PlainAsync(Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2));
        configure(builder);
        var app = builder.Build();
        app.MapGrpcService<TruthService>();
        await app.StartAsync(Token);
        return app;
    }

    /// <summary>As an app's channel whose connections the kernel turns to its sidecar.</summary>
    private static GrpcChannel Redirected(IPEndPoint sidecar) => GrpcChannel.ForAddress($"http://{_echo}", new GrpcChannelOptions
    {
        DisposeHttpClient = true,
        HttpHandler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancel) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    await socket.ConnectAsync(sidecar, cancel);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        },
    });
}
