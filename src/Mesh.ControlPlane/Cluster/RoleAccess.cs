using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Lets users and service accounts of the cluster use the API as RBAC says: <c>get</c> to view and <c>update</c> to change, of the resource <c>meshes.policy.meshlib.io</c>, which no object is of, and <c>get</c> of <c>meshes/tap</c> to tap. Thread-safe.</summary>
/// <remarks>A verdict is believed for 10 s: what a role loses it loses within that time.</remarks>
internal sealed partial class RoleAccess(KubeApi api, TimeProvider time, ILogger<RoleAccess> logger) : IApiAccess
{
    public const string Group = "policy." + Annotations.Domain;
    public const string Resource = "meshes";
    private const string TapSubresource = "tap";
    private const string Reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    private const int MostRemembered = 1_000;
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<(string, ApiRight), (long At, ApiVerdict Verdict)> _verdicts = new();

    /// <inheritdoc/>
    public async ValueTask<ApiVerdict> JudgeAsync(string token, ApiRight right, CancellationToken cancellationToken)
    {
        // Ours are opaque or JWTs: all else is no token of a cluster, and need not trouble its server.
        if (token.Length is 0 or > 16_384)
        {
            return new ApiVerdict(StatusCodes.Status401Unauthorized, "The token is none.", string.Empty);
        }

        var key = (Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token))), right);
        if (_verdicts.TryGetValue(key, out var known) && time.GetElapsedTime(known.At) < Remembered)
        {
            return known.Verdict;
        }

        try
        {
            var verdict = await AskAsync(token, right, cancellationToken);
            if (_verdicts.Count >= MostRemembered)
            {
                _verdicts.Clear();
            }

            _verdicts[key] = (time.GetTimestamp(), verdict);
            return verdict;
        }
        catch (KubeApiException e)
        {
            Log.NotReviewed(logger, e.Message);
            return new ApiVerdict(StatusCodes.Status503ServiceUnavailable, "The Kubernetes API server could not say what this token may do. Try again later; the control plane's log says why.", string.Empty);
        }
    }

    private async Task<ApiVerdict> AskAsync(string token, ApiRight right, CancellationToken cancellationToken)
    {
        // Without audiences: a token must be meant for the API server itself, so no workload's token for the mesh opens this.
        var review = await api.CreateAsync(KubeTokenReviews.Path, new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenReview",
            ["spec"] = new JsonObject { ["token"] = token },
        }, cancellationToken);
        if (review["status"] is not JsonObject status || status["authenticated"]?.GetValue<bool>() != true || status["user"] is not JsonObject user)
        {
            return new ApiVerdict(StatusCodes.Status401Unauthorized, "Neither the control plane nor Kubernetes knows this token. Send that of a user or service account of the cluster ('kubectl create token'), or the one in Secret mesh-admin-token.", string.Empty);
        }

        var name = user["username"]?.GetValue<string>() ?? string.Empty;
        // Whoever may more may this as well.
        foreach (var each in Enum.GetValues<ApiRight>().Where(r => r >= right))
        {
            if (await MayAsync(user, name, each, cancellationToken))
            {
                return new ApiVerdict(StatusCodes.Status200OK, string.Empty, KubernetesUser.Shown(name));
            }
        }

        var (verb, subresource) = Verb(right);
        return new ApiVerdict(
            StatusCodes.Status403Forbidden, $"'{KubernetesUser.Shown(name)}' may not {verb} {Resource}{(subresource is null ? string.Empty : $"/{subresource}")}.{Group}. Bind it to a ClusterRole with that verb, such as {Role(right)}.",
            KubernetesUser.Shown(name));
    }

    private static (string Verb, string? Subresource) Verb(ApiRight right) => right switch
    {
        ApiRight.View => ("get", null),
        ApiRight.Tap => ("get", TapSubresource),
        _ => ("update", null),
    };

    private static string Role(ApiRight right) => right switch
    {
        ApiRight.View => "mesh-viewer",
        ApiRight.Tap => "mesh-tapper",
        _ => "mesh-operator",
    };

    private async Task<bool> MayAsync(JsonObject user, string name, ApiRight right, CancellationToken cancellationToken)
    {
        var (verb, subresource) = Verb(right);
        var attributes = new JsonObject { ["group"] = Group, ["resource"] = Resource, ["verb"] = verb };
        if (subresource is not null)
        {
            attributes["subresource"] = subresource;
        }

        var access = await api.CreateAsync(Reviews, new JsonObject
        {
            ["apiVersion"] = "authorization.k8s.io/v1",
            ["kind"] = "SubjectAccessReview",
            ["spec"] = new JsonObject
            {
                ["user"] = name,
                ["uid"] = user["uid"]?.DeepClone(),
                ["groups"] = user["groups"]?.DeepClone(),
                ["extra"] = user["extra"]?.DeepClone(),
                ["resourceAttributes"] = attributes,
            },
        }, cancellationToken);
        return access["status"]?["allowed"]?.GetValue<bool>() == true;
    }

    private static partial class Log
    {
        [LoggerMessage(5260, LogLevel.Warning, "A caller of the API could not be reviewed: {Problem}", EventName = nameof(NotReviewed))]
        public static partial void NotReviewed(ILogger logger, string problem);
    }
}
