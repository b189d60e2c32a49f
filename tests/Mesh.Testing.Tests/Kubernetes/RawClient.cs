using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>The API as anyone can ask it, without a library.</summary>
internal static class RawClient
{
    public static HttpClient Client(this FakeKubeApi api, string? token = null)
    {
        var client = new HttpClient { BaseAddress = api.Address, Timeout = TimeSpan.FromSeconds(30) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token ?? api.Token);
        client.DefaultRequestHeaders.UserAgent.ParseAdd("raw/1.0");
        return client;
    }

    public static async Task<(HttpStatusCode Status, JsonObject Json)> SendJsonAsync(this HttpClient client, HttpMethod method, string path, JsonNode? body = null, string type = "application/json")
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, type);
        }

        using var response = await client.SendAsync(request);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject());
    }

    public static string Compact(this JsonNode json) => Encoding.UTF8.GetString(json.ToBytes());

    public static async Task<RawWatch> WatchAsync(this HttpClient client, string path) =>
        new(await client.GetAsync(path, HttpCompletionOption.ResponseHeadersRead));
}

/// <summary>The lines of a watch.</summary>
internal sealed class RawWatch(HttpResponseMessage response) : IAsyncDisposable
{
    private StreamReader? _lines;

    public HttpStatusCode Status => response.StatusCode;

    /// <summary>The next event; null at the end.</summary>
    public async Task<JsonObject?> NextAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        _lines ??= new StreamReader(await response.Content.ReadAsStreamAsync(limit.Token));
        return await _lines.ReadLineAsync(limit.Token) is { } line ? JsonNode.Parse(line)!.AsObject() : null;
    }

    public async Task<IReadOnlyList<JsonObject>> TakeAsync(int count)
    {
        var events = new List<JsonObject>();
        while (events.Count < count && await NextAsync() is { } happened)
        {
            events.Add(happened);
        }

        return events;
    }

    public ValueTask DisposeAsync()
    {
        _lines?.Dispose();
        response.Dispose();
        return ValueTask.CompletedTask;
    }
}
