using Mesh.ControlPlane.CertificateAuthority;

namespace Mesh.ControlPlane.Hosting;

/// <summary>A control plane that runs inside this process, added by <c>services.AddMeshControlPlane(…)</c>. Thread-safe.</summary>
public sealed class MeshControlPlane
{
    private readonly TaskCompletionSource<ControlPlaneAddresses> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<IServiceProvider> _inner = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile JoinTokens? _tokens;

    internal MeshControlPlane()
    {
    }

    /// <summary>Ends when it serves: where it is reached, and the path of its trust bundle. Fails when it could not start.</summary>
    public Task<ControlPlaneAddresses> Ready => _ready.Task;

    /// <summary>Makes a token that lets one workload join once, within 24 hours.</summary>
    /// <param name="namespace">The workload's Kubernetes namespace.</param>
    /// <param name="serviceAccount">The service account it runs as.</param>
    /// <exception cref="InvalidOperationException">The control plane does not run yet: await <see cref="Ready"/>.</exception>
    /// <exception cref="FormatException">A name has characters that no identity may hold.</exception>
    public string CreateJoinToken(string @namespace, string serviceAccount) =>
        (_tokens ?? throw new InvalidOperationException(_ready.Task.IsCompletedSuccessfully
            ? "A control plane of a Kubernetes cluster makes no join tokens: workloads join by the tokens of their service accounts."
            : "The control plane does not run yet. Await MeshControlPlane.Ready first.")).Create(@namespace, serviceAccount).Token;

    /// <summary>Ends with <see cref="Ready"/>: the inner host's services.</summary>
    internal Task<IServiceProvider> Inner => _inner.Task;

    internal void Started(ControlPlaneAddresses addresses, IServiceProvider inner)
    {
        // On Kubernetes there are none: workloads join by their service accounts.
        _tokens = inner.GetService<JoinTokens>();
        _inner.TrySetResult(inner);
        _ready.TrySetResult(addresses);
    }

    internal void Failed(Exception problem)
    {
        _ready.TrySetException(problem);
        _inner.TrySetException(problem);
        // Whoever awaits sees it; if nobody does, the host's own start has thrown it already.
        _ = (_ready.Task.Exception, _inner.Task.Exception);
    }
}
