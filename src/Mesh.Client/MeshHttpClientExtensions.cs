using Mesh.Client;

#pragma warning disable IDE0130 // beside HttpClient, which it extends
namespace System.Net.Http;
#pragma warning restore IDE0130

/// <summary>Makes an <see cref="HttpClient"/> of the mesh by hand.</summary>
public static class MeshHttpClientExtensions
{
    extension(HttpClient)
    {
        /// <summary>A client whose calls to services go through the mesh. Prefer <see cref="IHttpClientFactory"/> where there is one.</summary>
        /// <param name="services">The program's services, with <c>AddMesh()</c>.</param>
        /// <exception cref="InvalidOperationException">The services lack <c>AddMesh()</c>.</exception>
        public static HttpClient CreateMesh(IServiceProvider services)
        {
            ArgumentNullException.ThrowIfNull(services);
            return MeshHandlers.Create(services, null) is { } handler ? new HttpClient(handler) : new HttpClient();
        }
    }
}
