using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Insight;

/// <summary>A fault that somebody asked for, and that ends by itself.</summary>
/// <param name="By">Who asked for it.</param>
internal sealed record TemporaryFault(
    string Id, string Namespace, string Service, int? DelayMs, int? DelayPercent, int? AbortStatus, int? GrpcStatus, int? AbortPercent, DateTimeOffset StartedAt, DateTimeOffset ExpiresAt, string By)
{
    public const string Kind = "FaultPolicy";
    public const string ApiVersion = "policy." + Annotations.Domain + "/v1alpha1";

    /// <summary>On the object of a cluster: it is ours to remove.</summary>
    public const string Label = Annotations.Domain + "/temporary-fault";

    private const string NamePrefix = "temporary-fault-";

    public string PolicyName => NamePrefix + Id;

    public ServiceName Name => new(Namespace, Service);

    /// <summary>As policies' faults are told.</summary>
    public string Text => ModelWords.Settings(new Model.Policies.Fault(
        TimeSpan.FromMilliseconds(DelayMs ?? 0), DelayPercent ?? 100, AbortStatus ?? 0, GrpcStatus ?? 0, AbortPercent ?? 100, HeaderDriven: false, [], null));

    /// <summary>Its policy, as an operator would write it.</summary>
    public JsonObject Manifest()
    {
        var spec = new JsonObject
        {
            ["targetRefs"] = new JsonArray(new JsonObject { ["group"] = string.Empty, ["kind"] = "Service", ["name"] = Service }),
            ["expiresAt"] = ExpiresAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture),
        };
        if (DelayMs is { } delay)
        {
            spec["delay"] = new JsonObject { ["fixed"] = string.Create(CultureInfo.InvariantCulture, $"{delay}ms"), ["percent"] = DelayPercent ?? 100 };
        }

        if (AbortStatus is not null || GrpcStatus is not null)
        {
            spec["abort"] = new JsonObject { [AbortStatus is not null ? "httpStatus" : "grpcStatus"] = AbortStatus ?? GrpcStatus, ["percent"] = AbortPercent ?? 100 };
        }

        return new JsonObject
        {
            ["apiVersion"] = ApiVersion,
            ["kind"] = Kind,
            ["metadata"] = new JsonObject
            {
                ["name"] = PolicyName,
                ["namespace"] = Namespace,
                ["labels"] = new JsonObject { [Label] = Id },
                ["annotations"] = new JsonObject { [Annotations.AskedBy] = By },
            },
            ["spec"] = spec,
        };
    }

    /// <summary>The policy as a source reads it.</summary>
    public ManifestFile Read() => ManifestFile.ReadObject($"faultpolicy/{Namespace}/{PolicyName}", Kind, Manifest(), lenient: false, origin: null, before: null);
}

/// <summary>Keeps temporary faults where the mesh's configuration is, and removes them when they are over. Thread-safe.</summary>
internal interface ITemporaryFaults
{
    /// <summary>Those that are not over.</summary>
    IReadOnlyList<TemporaryFault> All { get; }

    /// <summary>Puts it in force, in place of one on the same Service.</summary>
    /// <exception cref="CertificateAuthority.StateNotKeptException">It could not be kept.</exception>
    Task AddAsync(TemporaryFault fault, CancellationToken cancellationToken);

    /// <returns>False when there is none of that id.</returns>
    /// <exception cref="CertificateAuthority.StateNotKeptException">It could not be removed.</exception>
    Task<bool> RemoveAsync(string id, CancellationToken cancellationToken);
}
