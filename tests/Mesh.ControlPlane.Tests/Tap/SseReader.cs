using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Mesh.ControlPlane.Tests.Hosting;
using Xunit;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>Looks, as a browser would.</summary>
internal sealed class SseReader : IAsyncDisposable
{
    private readonly HttpClient _http;
    private readonly HttpResponseMessage _response;
    private readonly IAsyncEnumerator<SseItem<string>> _items;
    private readonly CancellationTokenSource _limit;

    private SseReader(HttpClient http, HttpResponseMessage response, Stream body)
    {
        (_http, _response) = (http, response);
        _limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        _limit.CancelAfter(TimeSpan.FromSeconds(40));
        _items = SseParser.Create(body).EnumerateAsync(_limit.Token).GetAsyncEnumerator(_limit.Token);
    }

    public static async Task<SseReader> OpenAsync(TestControlPlane controlPlane, string path)
    {
        var http = controlPlane.Api();
        var response = await http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        return new SseReader(http, response, await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Null when the stream has ended.</summary>
    public async Task<(string Name, JsonElement Data)?> NextAsync() =>
        await _items.MoveNextAsync() ? (_items.Current.EventType, JsonDocument.Parse(_items.Current.Data).RootElement.Clone()) : null;

    /// <summary>The next event of a name; fails when the stream ends before.</summary>
    public async Task<JsonElement> NextAsync(string name)
    {
        while (true)
        {
            var (found, data) = await NextAsync() ?? throw new InvalidOperationException($"The stream ended without '{name}'.");
            if (found == name)
            {
                return data;
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _response.Dispose();
        _http.Dispose();
        _limit.Dispose();
        return ValueTask.CompletedTask;
    }
}
