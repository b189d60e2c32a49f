using System.Net.Http.Json;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mesh.Testing;

namespace Mesh.EndToEnd.Tests;

/// <summary>A receiver of OTLP that we did not write, as its own process: the dashboard of Aspire.</summary>
internal sealed class AspireDashboard : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly HttpClient _http;

    private AspireDashboard(ChildProcess process, HttpClient http, int grpc, int protobuf) =>
        (_process, _http, Grpc, Http) = (process, http, $"http://127.0.0.1:{grpc}", $"http://127.0.0.1:{protobuf}");

    /// <summary>Takes OTLP/gRPC.</summary>
    public string Grpc { get; }

    /// <summary>Takes OTLP/HTTP.</summary>
    public string Http { get; }

    public static bool CanRun => OperatingSystem.IsLinux() && RuntimeInformation.OSArchitecture == Architecture.X64 && File.Exists(Program);

    private static string Program => typeof(AspireDashboard).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == "AspireDashboard").Value!;

    public static async Task<AspireDashboard> StartAsync()
    {
        var (page, grpc, protobuf) = (FreePort.Next(), FreePort.Next(), FreePort.Next());
        var process = ChildProcess.Start(
            Program,
            [],
            new Dictionary<string, string>
            {
                ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{page}",
                ["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"] = $"http://127.0.0.1:{grpc}",
                ["ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL"] = $"http://127.0.0.1:{protobuf}",
                ["ASPIRE_DASHBOARD_UNSECURED_ALLOW_ANONYMOUS"] = "true",
                // Nothing of it is anybody else's to know.
                ["ASPIRE_DASHBOARD_TELEMETRY_OPTOUT"] = "true",
            },
            Path.GetDirectoryName(Program));
        var dashboard = new AspireDashboard(process, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{page}") }, grpc, protobuf);
        try
        {
            await Eventually.Async(
                async () =>
                {
                    try
                    {
                        return (await dashboard.ResourcesAsync()).ValueKind == JsonValueKind.Array;
                    }
                    catch (HttpRequestException) when (!process.HasExited)
                    {
                        return false;
                    }
                },
                "the dashboard answers",
                TimeSpan.FromSeconds(120));
            return dashboard;
        }
        catch
        {
            await dashboard.DisposeAsync();
            throw;
        }
    }

    public Task<JsonElement> ResourcesAsync() => _http.GetFromJsonAsync<JsonElement>("/api/telemetry/resources");

    /// <summary>All spans, with the name of the resource that each belongs to.</summary>
    public async Task<IReadOnlyList<(string Resource, string Namespace, JsonElement Span)>> SpansAsync()
    {
        var answer = await _http.GetFromJsonAsync<JsonElement>("/api/telemetry/spans");
        return
        [
            .. from resource in answer.GetProperty("data").GetProperty("resourceSpans").EnumerateArray()
               let attributes = resource.GetProperty("resource").GetProperty("attributes").EnumerateArray().ToDictionary(a => a.GetProperty("key").GetString()!, a => a.GetProperty("value").GetProperty("stringValue").GetString()!)
               from scope in resource.GetProperty("scopeSpans").EnumerateArray()
               from span in scope.GetProperty("spans").EnumerateArray()
               select (attributes["service.name"], attributes.GetValueOrDefault("service.namespace", string.Empty), span),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _process.DisposeAsync();
    }
}
