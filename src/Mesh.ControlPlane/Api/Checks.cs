using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Api;

/// <summary>One thing looked at. Result is <c>ok</c>, <c>warning</c> or <c>error</c>.</summary>
internal sealed record Check(string Id, string Category, string Description, string Result, string? Detail, string? Fix)
{
    public static Check Ok(string id, string category, string description, string? detail = null) => new(id, category, description, "ok", detail, null);

    public static Check Warning(string id, string category, string description, string detail, string fix) => new(id, category, description, "warning", detail, fix);

    public static Check Error(string id, string category, string description, string detail, string fix) => new(id, category, description, "error", detail, fix);
}

/// <summary>What <c>mesh check</c> asks of a running control plane.</summary>
internal static class Checks
{
    public static IReadOnlyList<Check> Run(
        ModelStore store, ClientRegistry clients, ResourceAnswers answers, CertificateChecks certificates, DataFolder data, MeshControlPlaneOptions options, IModelSource source, TimeProvider time) =>
    [
        .. Configuration(store.Current),
        .. source is IWatchedSource watched ? ClusterChecks.Run(watched.Kinds, time.GetUtcNow()) : [],
        .. AuthorizationChecks.Run(store.Current, options.Defaults, clients.Clients),
        .. Identity(store.Current, options.TrustDomain),
        .. Clients(clients),
        .. Refused(answers),
        .. certificates.Run(),
        data.WriteProblem() is { } problem
            ? Check.Error("data-folder", "storage", "the data folder can be written", $"{data.Path}: {problem}", "Make room or give write permission: join tokens and marks can't be saved.")
            : Check.Ok("data-folder", "storage", "the data folder can be written", data.Path),
    ];

    private static IEnumerable<Check> Configuration(MeshModel model)
    {
        const string Description = "every manifest is valid and used";
        if (model.Problems.IsEmpty)
        {
            yield return Check.Ok("manifests", "configuration", Description, $"{model.Services.Count} services, {model.Routes.Length + model.ConnectionRoutes.Length} routes");
        }

        foreach (var problem in model.Problems)
        {
            yield return Check.Error("manifests", "configuration", Description, $"{problem.Where}: {problem.What}", $"Edit {problem.Where}; it is read again at once.");
        }
    }

    private static IEnumerable<Check> Identity(MeshModel model, string trustDomain)
    {
        var found = false;
        foreach (var workload in Workloads.List(model, trustDomain).Where(w => !w.Meshed))
        {
            found = true;
            var where = $"{workload.Namespace}/{workload.Service} {workload.Address}";
            yield return workload.Identity is null
                ? Check.Warning("endpoint-identity", "identity", "every endpoint has an identity", $"{where} has none: it is reached in plaintext", workload.Reason!)
                : Check.Warning("endpoint-meshed", "identity", "every endpoint with an identity is meshed", $"{where} is not: it is reached in plaintext", workload.Reason!);
        }

        if (!found)
        {
            yield return Check.Ok("endpoint-meshed", "identity", "every endpoint is meshed");
        }
    }

    private static IEnumerable<Check> Refused(ResourceAnswers answers)
    {
        foreach (var (name, problem) in answers.Problems)
        {
            yield return Check.Error("configuration-refused", "clients", "what is said can be sent", $"{name}: {problem}",
                "Nodes keep what they had there, or have nothing: change the manifest or policy that the problem names.");
        }
    }

    private static IEnumerable<Check> Clients(ClientRegistry registry)
    {
        const string Description = "every client took its configuration";
        var clients = registry.Clients;
        var refusing = clients.Where(c => c.Types.Any(t => t.Status == "nacked")).ToList();
        if (refusing.Count == 0)
        {
            yield return Check.Ok("client-nack", "clients", Description, $"{clients.Count} connected");
        }

        foreach (var client in refusing)
        {
            yield return Check.Error("client-nack", "clients", Description, $"{client.Node.Id}: {client.LastNack}", "The client runs on its last good configuration. See 'mesh config dump' for what it was sent.");
        }
    }
}
