using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Hosting;

/// <summary>Opens the API server that the options name.</summary>
internal static class KubeAccess
{
    /// <exception cref="InvalidDataException">The kubeconfig can't be used, or this is no pod.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public static KubeApi Open(MeshControlPlaneOptions options, TimeProvider time)
    {
        if (options.ApiServer is { } server)
        {
            return KubeApi.WithTokenFile(new Uri(server), options.ApiTokenFile, options.ApiCa is { } authority ? File.ReadAllText(authority) : null, time);
        }

        if (options.Kubeconfig is not null || options.KubeContext is not null)
        {
            return KubeApi.FromKubeconfig(options.Kubeconfig, options.KubeContext, time);
        }

        try
        {
            return KubeApi.InCluster(time);
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException(e.Message + " (--kubeconfig FILE, or --api-server URL)", e);
        }
    }
}
