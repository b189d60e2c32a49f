using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Answers what becomes of pods that are created. Thread-safe.</summary>
/// <remarks>No pod is ever refused: one that can't be in the mesh runs without, and its owner is told.</remarks>
internal sealed partial class PodAdmission(InjectorParts parts, ILogger<PodAdmission> logger)
{
    /// <exception cref="Sources.Kubernetes.KubeApiException">The namespace can't be looked up: the webhook's failurePolicy decides.</exception>
    public async Task<AdmissionAnswer> AnswerAsync(AdmissionRequest request, CancellationToken cancellationToken)
    {
        if (request is not { Operation: "CREATE", Group: "", Kind: "Pod", Subresource: "", Object: { } pod } || request.Namespace.Length == 0)
        {
            return new AdmissionAnswer { SkipReason = SkipReasons.Unsupported };
        }

        var ns = await parts.Namespaces.FindAsync(request.Namespace, cancellationToken) ?? NamespaceMeta.Bare(request.Namespace);
        var injection = PodPatch.Of(pod, ns, parts.Values());
        var subject = Subject(pod, request);
        if (injection.Skip is { } skip)
        {
            Log.Skipped(logger, request.Namespace, subject.Name, skip.Reason);
            if (!skip.Expected && !request.DryRun)
            {
                parts.Events.Report(subject, EventReasons.NotInjected, $"{skip.Reason}: {skip.Message}");
            }

            return new AdmissionAnswer { SkipReason = skip.Reason, Warnings = skip.Expected ? injection.Warnings : [.. injection.Warnings.Append(Shown.Warning($"Not in the mesh: {skip.Message}")).Distinct()] };
        }

        if (injection.Warnings.Count > 0 && !request.DryRun)
        {
            parts.Events.Report(subject, EventReasons.Warning, string.Join(' ', injection.Warnings));
        }

        Log.Injected(logger, request.Namespace, subject.Name, injection.Mode);
        return new AdmissionAnswer { Patch = injection.Patch, Warnings = injection.Warnings };
    }

    /// <summary>The owner, which people look at; a pod that is not made yet has no uid, and often no name.</summary>
    private static EventSubject Subject(JsonObject pod, AdmissionRequest request)
    {
        var meta = pod.Object("metadata");
        var owner = meta.Objects("ownerReferences").FirstOrDefault(o => o.Flag("controller"));
        return owner.Text("kind") is { } kind && owner.Text("name") is { } name
            ? new EventSubject(owner.Text("apiVersion") ?? string.Empty, kind, request.Namespace, name, owner.Text("uid"))
            : new EventSubject("v1", "Pod", request.Namespace, meta.Text("name") ?? request.Name, meta.Text("uid"));
    }

    private static partial class Log
    {
        [LoggerMessage(5300, LogLevel.Debug, "A pod of {Namespace}/{Owner} was put into the mesh ({Mode})", EventName = nameof(Injected))]
        public static partial void Injected(ILogger logger, string @namespace, string owner, InjectMode mode);

        [LoggerMessage(5301, LogLevel.Debug, "A pod of {Namespace}/{Owner} was left as it is: {Reason}", EventName = nameof(Skipped))]
        public static partial void Skipped(ILogger logger, string @namespace, string owner, string reason);
    }
}
