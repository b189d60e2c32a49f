using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Mesh.Transparent.Interception;

/// <summary>Tells where accepted connections were going.</summary>
internal interface IRedirection
{
    /// <returns>False when nothing turned it here: somebody called the proxy itself.</returns>
    bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? destination);
}

/// <summary>By the kernel's rules (<c>mesh-proxy init</c>).</summary>
internal sealed class KernelRedirection : IRedirection
{
    public bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? destination) => OriginalDestination.TryRead(socket, out destination);
}
