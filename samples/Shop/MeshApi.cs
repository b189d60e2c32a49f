using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace Shop;

/// <summary>A caller→callee pair as the control plane counts it.</summary>
internal sealed record Pair(
    string Source, string Destination, long Requests, double? SuccessRate, double? EffectiveSuccessRate, double? Rps,
    double? P50Ms, double? P95Ms, double? P99Ms, double? MtlsShare, long Retries);

/// <summary>Attempts that one endpoint received.</summary>
internal sealed record EndpointCount(string Service, string Address, long Requests);

internal sealed record MeshStatus(long Clients, long Acks, long Nacks);

internal sealed record MeshClient(string Id, string? Identity);

internal sealed record MeshWorkload(string Service, string Address, bool Meshed, string? Reason);

internal sealed record IssuedIdentity(string Identity, string? Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

internal sealed record JoinToken(string Token);

/// <summary>The control plane's HTTP API, as far as the shop uses it.</summary>
internal sealed class MeshApi(Uri address, string token) : IDisposable
{
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false })
    {
        BaseAddress = address,
        Timeout = TimeSpan.FromSeconds(5),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
    };

    public Uri Address => address;

    public string Token => token;

    /// <param name="window">The last so many seconds; null: since the control plane counts.</param>
    public Task<IReadOnlyList<Pair>> PairsAsync(int? window, CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<Pair>>(window is null ? "api/v1/pairs" : $"api/v1/pairs?window={window}", cancellationToken);

    public Task<IReadOnlyList<EndpointCount>> EndpointsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<EndpointCount>>("api/v1/endpoints", cancellationToken);

    public Task<MeshStatus> StatusAsync(CancellationToken cancellationToken) => GetAsync<MeshStatus>("api/v1/status", cancellationToken);

    public Task<IReadOnlyList<MeshClient>> ClientsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<MeshClient>>("api/v1/clients", cancellationToken);

    public Task<IReadOnlyList<MeshWorkload>> WorkloadsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<MeshWorkload>>("api/v1/workloads", cancellationToken);

    public Task<IReadOnlyList<IssuedIdentity>> IdentitiesAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<IssuedIdentity>>("api/v1/identities", cancellationToken);

    public async Task<string> CreateTokenAsync(string serviceAccount, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, "api/v1/tokens", new { Namespace = "shop", ServiceAccount = serviceAccount }, cancellationToken);
        return (await response.Content.ReadFromJsonAsync<JoinToken>(Json, cancellationToken))!.Token;
    }

    public async Task SetLeafLifeAsync(TimeSpan life, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Put, "api/v1/identity/leaf_life", new { Seconds = (int)life.TotalSeconds }, cancellationToken);
    }

    public async Task RotateAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, "api/v1/identity/rotate", new { }, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private async Task<T> GetAsync<T>(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, path, content: null, cancellationToken);
        return await response.Content.ReadFromJsonAsync<T>(Json, cancellationToken) ?? throw new HttpRequestException($"{path} answered null.");
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Content = content is null ? null : JsonContent.Create(content, options: Json);
        var response = await _http.SendAsync(request, cancellationToken);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw new HttpRequestException($"{method} {path} was answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
    }
}
