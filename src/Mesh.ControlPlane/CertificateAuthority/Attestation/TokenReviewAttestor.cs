using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>Projected service account tokens, which the Kubernetes API server reviews (authentication.k8s.io/v1 TokenReview). They must be bound to our audience.</summary>
/// <param name="ofPods">Only tokens that end with their Pod are taken.</param>
internal sealed partial class TokenReviewAttestor(
    ITokenReviews reviews, string audience, bool ofPods, TrustDomain trustDomain, ILogger<TokenReviewAttestor> logger) : IAttestor, IDisposable
{
    /// <summary>Whoever sends us tokens can't make us send the API server more than this many at a time.</summary>
    private const int MaxCalls = 32;

    private const string PodName = "authentication.kubernetes.io/pod-name";
    private const string PodUid = "authentication.kubernetes.io/pod-uid";
    private readonly SemaphoreSlim _calls = new(MaxCalls, MaxCalls);

    /// <inheritdoc/>
    public async ValueTask<Attested> AttestAsync(string token, CancellationToken cancellationToken)
    {
        if (token.Count(c => c == '.') != 2)
        {
            return Attested.NotMine("It is no service account token.");
        }

        if (!await _calls.WaitAsync(PrivateHttp.Timeout, cancellationToken))
        {
            return Attested.Unavailable("The Kubernetes API server has too many tokens to review. Try again later.");
        }

        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(PrivateHttp.Timeout);
            using var answer = await reviews.ReviewAsync(
                new JsonObject
                {
                    ["apiVersion"] = "authentication.k8s.io/v1",
                    ["kind"] = "TokenReview",
                    ["spec"] = new JsonObject { ["token"] = token, ["audiences"] = new JsonArray(audience) },
                },
                limit.Token);
            return Read(answer.RootElement);
        }
        catch (Exception e) when (e is HttpRequestException or InvalidDataException or JsonException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var problem = e is OperationCanceledException ? $"no answer within {PrivateHttp.Timeout.TotalSeconds:0} s" : e.Message;
            Log.NotReviewed(logger, reviews.Server, problem);
            return Attested.Unavailable("The Kubernetes API server could not review the token. Try again later; the control plane's log says why.");
        }
        finally
        {
            _calls.Release();
        }
    }

    public void Dispose()
    {
        reviews.Dispose();
        _calls.Dispose();
    }

    private Attested Read(JsonElement review)
    {
        if (!review.TryGetProperty("status", out var status) || status.ValueKind != JsonValueKind.Object)
        {
            throw new InvalidDataException("its answer has no status");
        }

        if (!status.TryGetProperty("authenticated", out var authenticated) || authenticated.ValueKind != JsonValueKind.True)
        {
            return Attested.Refused($"Kubernetes does not take the token: {KubernetesUser.Shown(Text(status, "error") ?? "it is not authenticated")}. Use a projected token with the audience '{audience}' that has not expired.");
        }

        // A server that names no audience did not look at ours: such a token may be meant for anybody.
        if (!status.TryGetProperty("audiences", out var audiences) || audiences.ValueKind != JsonValueKind.Array || !audiences.EnumerateArray().Any(a => a.ValueKind == JsonValueKind.String && a.GetString() == audience))
        {
            return Attested.Refused($"The token is not bound to the audience '{audience}'. Project one with it (volume source serviceAccountToken, field audience).");
        }

        var user = status.TryGetProperty("user", out var of) && of.ValueKind == JsonValueKind.Object ? of : default;
        var name = user.ValueKind == JsonValueKind.Object ? Text(user, "username") : null;
        if (KubernetesUser.Read(name, trustDomain) is not { } id)
        {
            return Attested.Refused($"The token is of '{KubernetesUser.Shown(name)}', which is no service account.");
        }

        var extra = user.TryGetProperty("extra", out var more) && more.ValueKind == JsonValueKind.Object ? more : default;
        if (ofPods && Extra(extra, PodName) is null)
        {
            return Attested.Refused("The token is bound to no Pod, so it would outlive whoever it was made for. Project one into the Pod (volume source serviceAccountToken).");
        }

        return Attested.Good(id, Extra(extra, PodName) is { } pod ? $"Kubernetes pod {KubernetesUser.Shown(pod)} ({KubernetesUser.Shown(Extra(extra, PodUid))})" : "Kubernetes service account token");
    }

    private static string? Text(JsonElement of, string name) => of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string? Extra(JsonElement extra, string name) =>
        extra.ValueKind == JsonValueKind.Object && extra.TryGetProperty(name, out var values) && values.ValueKind == JsonValueKind.Array
        && values.EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.String } first
            ? first.GetString()
            : null;

    private static partial class Log
    {
        [LoggerMessage(4675, LogLevel.Warning, "A service account token could not be reviewed at {Server}: {Problem}", EventName = nameof(NotReviewed))]
        public static partial void NotReviewed(ILogger logger, Uri server, string problem);
    }
}
