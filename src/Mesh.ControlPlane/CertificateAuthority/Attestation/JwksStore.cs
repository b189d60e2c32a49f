using System.Text.Json;
using Microsoft.IdentityModel.Tokens;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>The keys of an OIDC issuer: fetched when first needed, again each hour and when a token names one that is not there; the last good ones stay when that fails. Thread-safe.</summary>
/// <param name="location">A URL or a file; null: the issuer's discovery document says it.</param>
internal sealed partial class JwksStore(string issuer, string? location, HttpClient http, TimeProvider time, ILogger<JwksStore> logger) : IDisposable
{
    /// <summary>An unknown key can make us ask this often, whoever sends it.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Age = TimeSpan.FromHours(1);
    private readonly SemaphoreSlim _gate = new(1, 1);
    private volatile Keys? _keys;
    private DateTimeOffset _nextTry;

    /// <summary>Keys to try for a token; null when none could ever be had.</summary>
    /// <param name="kid">The key that the token names; null when it names none.</param>
    public async ValueTask<IReadOnlyList<SecurityKey>?> FindAsync(string? kid, CancellationToken cancellationToken)
    {
        if (IsEnough(_keys, kid))
        {
            return _keys!.All;
        }

        // One fetch at a time: the others wait for it and look again.
        await _gate.WaitAsync(cancellationToken);
        try
        {
            var now = time.GetUtcNow();
            if (!IsEnough(_keys, kid) && now >= _nextTry)
            {
                try
                {
                    _keys = new Keys(await FetchAsync(cancellationToken), now);
                    _nextTry = now + Pause;
                }
                catch (Exception e) when (IsFailure(e, cancellationToken))
                {
                    _nextTry = now + (_keys is null ? PauseAfterFailure : Pause);
                    Log.NotFetched(logger, issuer, e is OperationCanceledException ? $"no answer within {PrivateHttp.Timeout.TotalSeconds:0} s" : e.Message, _keys is not null);
                }
            }

            return _keys?.All;
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose()
    {
        http.Dispose();
        _gate.Dispose();
    }

    private static bool IsFailure(Exception e, CancellationToken cancellationToken) =>
        e is HttpRequestException or IOException or InvalidDataException or JsonException or ArgumentException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private bool IsEnough(Keys? keys, string? kid) =>
        keys is not null && time.GetUtcNow() - keys.At < Age && (kid is null || keys.All.Any(k => k.KeyId == kid));

    private async Task<IReadOnlyList<SecurityKey>> FetchAsync(CancellationToken cancellationToken)
    {
        var from = location ?? await DiscoverAsync(cancellationToken);
        var text = IsUrl(from) ? await GetAsync(from, cancellationToken) : Pems.ReadText(from);
        // Symmetric keys are no business of a public key set: a token signed with one is anybody's.
        var keys = new JsonWebKeySet(text).Keys.Where(k => k.Kty is "RSA" or "EC" && k.Use is null or "" or "sig").Cast<SecurityKey>().ToList();
        return keys.Count > 0 ? keys : throw new InvalidDataException($"'{from}' holds no RSA or EC key");
    }

    private async Task<string> DiscoverAsync(CancellationToken cancellationToken)
    {
        var url = $"{issuer.TrimEnd('/')}/.well-known/openid-configuration";
        using var document = JsonDocument.Parse(await GetAsync(url, cancellationToken));
        var said = document.RootElement.TryGetProperty("issuer", out var own) ? own.GetString() : null;
        if (said != issuer)
        {
            throw new InvalidDataException($"'{url}' is of the issuer '{KubernetesUser.Shown(said)}'");
        }

        var keys = document.RootElement.TryGetProperty("jwks_uri", out var uri) ? uri.GetString() : null;
        return MayBeAsked(keys) ? keys! : throw new InvalidDataException($"'{url}' names the keys at '{KubernetesUser.Shown(keys)}', which is no https URL");
    }

    private async Task<string> GetAsync(string url, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(url, cancellationToken);
        return response.IsSuccessStatusCode
            ? await response.Content.ReadAsStringAsync(cancellationToken)
            : throw new InvalidDataException($"'{url}' answered {(int)response.StatusCode}");
    }

    public static bool IsUrl(string location) => location.StartsWith("https://", StringComparison.OrdinalIgnoreCase) || location.StartsWith("http://", StringComparison.OrdinalIgnoreCase);

    /// <summary>Keys that anybody on the way could exchange are worth nothing: plain http only to this machine.</summary>
    public static bool MayBeAsked(string? url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback));

    private sealed record Keys(IReadOnlyList<SecurityKey> All, DateTimeOffset At);

    private static partial class Log
    {
        [LoggerMessage(4670, LogLevel.Warning, "The keys of the OIDC issuer '{Issuer}' could not be fetched: {Problem}. Earlier ones stay in use: {HasEarlier}", EventName = nameof(NotFetched))]
        public static partial void NotFetched(ILogger logger, string issuer, string problem, bool hasEarlier);
    }
}
