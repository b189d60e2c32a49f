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

/// <summary>A time for which somebody's numbers are missing.</summary>
internal sealed record MissingTime(DateTimeOffset From, DateTimeOffset To, string Who, string Why);

internal sealed record MeshStatus(long Clients, long Acks, long Nacks);

internal sealed record MeshClient(string Id, string? Identity);

internal sealed record MeshWorkload(string Service, string Address, bool Meshed, string? Reason);

internal sealed record IssuedIdentity(string Identity, string? Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

internal sealed record JoinToken(string Token);

/// <summary>How far a change of the root has come.</summary>
internal sealed record RootStatus(string Phase, IReadOnlyList<RootEntry> Roots, IReadOnlyList<RootWait> Waiting);

/// <param name="Role"><c>signing</c> for the one that certificates are issued under.</param>
internal sealed record RootEntry(string Id, string Role);

internal sealed record RootWait(string Identity, string Node, string For);

/// <summary>What would become of a request: decided by the control plane with what it sends to the servers.</summary>
/// <param name="Allowed">Null: it reaches nobody.</param>
internal sealed record ExplainedRequest(bool? Allowed, IReadOnlyList<ExplainedVerdict> Verdicts);

/// <summary>What some endpoints say; those that judge alike are one.</summary>
/// <param name="Where">File and line of the rule that decided.</param>
/// <param name="Nearest">Where no rule allows it: those that came nearest.</param>
internal sealed record ExplainedVerdict(string Decision, string? Rule, string? Where, IReadOnlyList<NearRule> Nearest);

/// <param name="Failed">The condition that did not hold.</param>
internal sealed record NearRule(string Rule, string? Where, string Failed);

/// <summary>The control plane's HTTP API, as far as the shop uses it.</summary>
internal sealed class MeshApi(Uri address, string token) : IDisposable
{
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false })
    {
        BaseAddress = address,
        Timeout = TimeSpan.FromSeconds(20),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
    };

    public Uri Address => address;

    public string Token => token;

    /// <param name="window">The last so many seconds; null: since the control plane counts.</param>
    public Task<IReadOnlyList<Pair>> PairsAsync(int? window, CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<Pair>>(window is null ? "api/v1/pairs" : $"api/v1/pairs?window={window}", cancellationToken);

    public Task<IReadOnlyList<EndpointCount>> EndpointsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<EndpointCount>>("api/v1/endpoints", cancellationToken);

    /// <param name="window">The last so many seconds.</param>
    public async Task<IReadOnlyList<MissingTime>> GapsAsync(int window, CancellationToken cancellationToken) =>
        (await GetAsync<Measured>($"api/v1/golden?by=service&window={window}", cancellationToken)).Gaps;

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

    public Task<RootStatus> RootAsync(CancellationToken cancellationToken) => GetAsync<RootStatus>("api/v1/identity/root", cancellationToken);

    public async Task RotateRootAsync(CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Post, "api/v1/identity/root/rotate", content: null, cancellationToken);
    }

    /// <param name="caller"><c>shop/cart</c>, or <c>outside</c>.</param>
    public Task<ExplainedRequest> ExplainAsync(string caller, string service, HttpMethod method, string path, CancellationToken cancellationToken) =>
        GetAsync<ExplainedRequest>($"api/v1/explain/request?caller={caller}&service={service}&namespace=shop&method={method}&path={Uri.EscapeDataString(path)}", cancellationToken);

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

    private sealed record Measured(IReadOnlyList<MissingTime> Gaps);
}
