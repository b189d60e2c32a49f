namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>All of the authority that is kept, and that changes together where replicas share it.</summary>
internal sealed record AuthorityState(MeshAuthority Authority, TrustBundleStore Trust, LeafPolicyStore LeafPolicy);

/// <summary>The one way to change the authority's state.</summary>
internal interface IAuthorityChanges
{
    /// <summary>Runs a change on the state in force; it is kept before this ends, or has not happened.</summary>
    /// <param name="change">May run more than once, on copies: when others have changed the state meanwhile it runs again on what they kept.</param>
    /// <exception cref="StateNotKeptException">It could not be kept.</exception>
    Task<T> ChangeAsync<T>(Func<AuthorityState, T> change, CancellationToken cancellationToken);
}

/// <summary>The state is this process' own.</summary>
internal sealed class OwnState(AuthorityState state) : IAuthorityChanges
{
    /// <inheritdoc/>
    public Task<T> ChangeAsync<T>(Func<AuthorityState, T> change, CancellationToken cancellationToken) => Task.FromResult(change(state));
}

/// <summary>A change of the shared state could not be kept, so it has not happened.</summary>
internal sealed class StateNotKeptException(string message, Exception? inner = null) : Exception(message, inner);
