namespace Mesh.Hosting;

/// <summary>What an app allows its calls at most. It narrows what the mesh's routes say and never widens it: a larger value has no effect, and one log line says so.</summary>
/// <remarks>Section <c>Mesh:Services:&lt;service&gt;</c>, for every client that calls the service. Where several apply to a call, the narrowest counts.</remarks>
public class MeshCallOptions
{
    /// <summary>Of the whole call, retries and the response's body included, 10 ms to 1 day. Default: none; the route's counts.</summary>
    public TimeSpan? Timeout { get; set; }

    /// <summary>Of one attempt up to its response headers, 10 ms to 1 day, at most <see cref="Timeout"/>. Default: none; the route's counts.</summary>
    public TimeSpan? AttemptTimeout { get; set; }

    /// <summary>Attempts beyond the first; 0 is none. Default: none; the route's counts.</summary>
    public int? MaxRetries { get; set; }

    /// <summary>Calls in flight to the called service from this process, at least 1; one more is refused at once. Default: none; the cluster's counts.</summary>
    public int? MaxConcurrentRequests { get; set; }

    /// <summary>No second attempt beside a slow one, whatever the route says. Default: false.</summary>
    public bool DisableHedging { get; set; }
}

/// <summary>What is set for one client: section <c>Mesh:Clients:&lt;client name&gt;</c>, or <c>ConfigureMesh</c> in code.</summary>
public sealed class MeshClientOptions : MeshCallOptions
{
    /// <summary>Who tries again when both the mesh and a resilience handler of the client (<c>AddStandardResilienceHandler</c> and the like) would. Default: <see cref="MeshRetryOwner.Mesh"/>.</summary>
    public MeshRetryOwner RetryOwner { get; set; }

    /// <summary>The client stays as it would be without the mesh.</summary>
    internal bool IsDisabled { get; set; }
}

/// <summary>Who tries a failed call again.</summary>
public enum MeshRetryOwner
{
    /// <summary>The mesh, on other endpoints and within its budget; the client's standard handlers yield for hosts in the mesh, and their limits narrow the route's.</summary>
    Mesh,

    /// <summary>The client's own handlers; the mesh makes one attempt per call.</summary>
    Client,
}
