namespace Mesh.ControlPlane.Injector;

/// <summary>Tells what stands on a Namespace. Thread-safe.</summary>
internal interface INamespaces
{
    /// <returns>Null when there is none of the name.</returns>
    Task<NamespaceMeta?> FindAsync(string name, CancellationToken cancellationToken);
}
