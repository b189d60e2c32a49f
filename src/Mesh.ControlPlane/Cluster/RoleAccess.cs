using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Lets users and service accounts of the cluster use the API as RBAC says: <c>get</c> to read and <c>update</c> to change, of the resource <c>meshes.policy.meshlib.io</c>, which no object is of. Thread-safe.</summary>
/// <remarks>A verdict is believed for 10 s: what a role loses it loses within that time.</remarks>
internal sealed partial class RoleAccess(KubeApi api, TimeProvider time, ILogger<RoleAccess> logger) : IApiAccess
{
    public const string Group = "policy." + Annotations.Domain;
    public const string Resource = "meshes";
    private const string Reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    private const int MostRemembered = 1_000;
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<(string, bool), (long At, int Status, string Why)> _verdicts = new();

    /// <inheritdoc/>
    public async ValueTask<(int Status, string Why)> JudgeAsync(string token, bool changes, CancellationToken cancellationToken)
    {
        // Ours are opaque or JWTs: all else is no token of a cluster, and need not trouble its server.
        if (token.Length is 0 or > 16_384)
        {
            return (StatusCodes.Status401Unauthorized, "The token is none.");
        }

        var key = (Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token))), changes);
        if (_verdicts.TryGetValue(key, out var known) && time.GetElapsedTime(known.At) < Remembered)
        {
            return (known.Status, known.Why);
        }

        try
        {
            var (status, why) = await AskAsync(token, changes ? "update" : "get", cancellationToken);
            if (_verdicts.Count >= MostRemembered)
            {
                _verdicts.Clear();
            }

            _verdicts[key] = (time.GetTimestamp(), status, why);
            return (status, why);
        }
        catch (KubeApiException e)
        {
            Log.NotReviewed(logger, e.Message);
            return (StatusCodes.Status503ServiceUnavailable, "The Kubernetes API server could not say what this token may do. Try again later; the control plane's log says why.");
        }
    }

    private async Task<(int Status, string Why)> AskAsync(string token, string verb, CancellationToken cancellationToken)
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
            return (StatusCodes.Status401Unauthorized, "Neither the control plane nor Kubernetes knows this token. Send that of a user or service account of the cluster ('kubectl create token'), or the one in Secret mesh-admin-token.");
        }

        var name = user["username"]?.GetValue<string>() ?? string.Empty;
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
                ["resourceAttributes"] = new JsonObject { ["group"] = Group, ["resource"] = Resource, ["verb"] = verb },
            },
        }, cancellationToken);
        return access["status"]?["allowed"]?.GetValue<bool>() == true
            ? (StatusCodes.Status200OK, string.Empty)
            : (StatusCodes.Status403Forbidden, $"'{KubernetesUser.Shown(name)}' may not {verb} {Resource}.{Group}. Bind it to a ClusterRole with that verb.");
    }

    private static partial class Log
    {
        [LoggerMessage(5260, LogLevel.Warning, "A caller of the API could not be reviewed: {Problem}", EventName = nameof(NotReviewed))]
        public static partial void NotReviewed(ILogger logger, string problem);
    }
}
